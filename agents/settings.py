"""The event hub's settings, frozen; the environment is read here and nowhere else."""

import socket

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["Settings"]


class Settings(BaseSettings):
    """What a deployment decides: `KAFKA_URL`, `MONGO_URL`, and the others as `EVENT_HUB_<NAME>`.

    All times are seconds.
    """

    model_config = SettingsConfigDict(env_prefix="EVENT_HUB_", env_ignore_empty=True, frozen=True)

    kafka_url: str = Field(
        "kafka://127.0.0.1:9092", validation_alias="KAFKA_URL", description="Kafka's brokers."
    )
    mongo_url: str = Field(
        "mongodb://127.0.0.1:27017/prom",
        validation_alias="MONGO_URL",
        description="MongoDB's URL; its path names the database, `prom` when it is empty.",
    )
    web_bind: str = Field(
        "127.0.0.1",
        description="The address that the worker's web server listens on; its pages ask for no password.",
    )
    web_port: int = Field(
        6066, ge=1, le=65535, description="The worker's web port, unless `--web-port` is given."
    )
    host: str = Field(
        default_factory=socket.gethostname, min_length=1, description="This machine's name in heartbeats."
    )
    collect: bool = Field(
        default=True, description="Whether this worker collects; one worker per machine should."
    )
    collect_interval: float = Field(2.0, gt=0, description="Between two heartbeats of one process.")
    check_interval: float = Field(1.0, gt=0, description="Between two looks for silent processes.")
    stale_after: float = Field(15.0, gt=0, description="A process silent for so long is stale.")
    gone_after: float = Field(60.0, gt=0, description="A process silent for so long is deleted.")
    analysis_processes: int = Field(
        2, ge=1, le=64, description="How many processes of this worker score heartbeats."
    )
    analysis_window: int = Field(
        20,
        ge=5,
        le=1000,
        description="Heartbeats of a process that are its habit; it is scored after two such.",
    )
    finding_above: float = Field(
        0.7, gt=0, le=1, description="The score from which a heartbeat is a finding; half of it ends that."
    )
    session_timeout: float = Field(
        60.0, gt=0, description="After so long without a sign of a worker, its partitions move to another."
    )
