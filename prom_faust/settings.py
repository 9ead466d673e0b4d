"""The plugin's settings, frozen; the environment is read here and nowhere else."""

import logging
import os
from difflib import get_close_matches
from typing import Any, Literal, TypeVar

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from prom_faust.exceptions import ConfigurationError
from prom_faust.logs import LogFormat

__all__ = ["Settings", "load_settings", "read_settings"]

S = TypeVar("S", bound=BaseSettings)

logger = logging.getLogger(__name__)

PREFIX = "PROM_FAUST_"
OTHERS = ("home", "jars")
"""Variables of the local stack."""


class Settings(BaseSettings):
    """What ``install`` accepts beside the app; each may also come from the environment as ``PROM_FAUST_<NAME>``.

    All times are seconds.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    mongo_url: str = Field(
        "mongodb://127.0.0.1:27017/prom",
        repr=False,  # it may hold a password
        validation_alias=AliasChoices("PROM_FAUST_MONGO_URL", "MONGO_URL"),
        description="MongoDB's URL; its path names the database, `prom` by default. Also read from `MONGO_URL`.",
    )
    create_topics: bool = Field(
        default=True,
        description="Create the topics declared with `prom.topic`, and their dead-letter topics.",
    )
    replication_factor: int | None = Field(
        default=None, ge=1, description="Of created topics; the app's `topic_replication_factor` by default."
    )
    startup_timeout: float = Field(
        20.0, gt=0, description="How long servers may be unreachable at start before the worker exits."
    )
    assignor: Literal["rendezvous", "both", "faust"] = Field(
        default="rendezvous",
        description="How partitions get to workers: `rendezvous`, or as Faust does it; `both`, for one deploy, "
        "to get a running group from one to the other.",
    )
    worker_name: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="This worker's stable name, which its partitions follow; `consumer_group_instance_id`, else "
        "the host's name and a number, by default.",
    )
    worker_weight: float = Field(
        1.0, gt=0, le=1000, description="This worker's share of the partitions, in proportion to the others'."
    )
    load_factor: float = Field(
        1.25, ge=1, le=100, description="How many times its fair share a worker may own, at most."
    )
    write_deadline: float = Field(
        10.0, gt=0, description="How long one call of MongoDB may take before it is tried again."
    )
    unique_wait: float = Field(
        30.0, ge=0, description="How long a record waits for a unique value before it is dead-lettered."
    )
    drain_timeout: float = Field(
        8.0, gt=0, description="How long a stopping worker waits for the batches in flight."
    )
    history_interval: float = Field(
        15.0, gt=0, description="Between two comparisons of the topics with the stored positions."
    )
    ops: bool = Field(
        default=True, description="Serve `/ops` on the worker's web server, and publish its status."
    )
    ops_path: str = Field(
        default="/ops", pattern=r"^/[\w/.-]*[\w.-]$", description="Where the operator's pages are."
    )
    ops_token: SecretStr | None = Field(
        default=None,
        min_length=8,
        description="A bearer token that the operator's pages ask for, but not the two for probes.",
    )
    status_interval: float = Field(
        3.0, gt=0, description="Between two publications of this worker's status for the others."
    )
    progress_within: float = Field(
        60.0,
        gt=0,
        description="A projection that applies nothing for so long, though it could, is not ready.",
    )
    sweep_interval: float = Field(5.0, gt=0, description="Between two removals of old delete markers.")
    log_format: LogFormat = Field(
        default="text", description="How the worker's log lines look: `text` as Faust has them, or `json`."
    )


def load_settings(**given: Any) -> Settings:
    """Settings from the arguments, else the environment, else the defaults.

    Raises:
        ConfigurationError: a setting is unknown or has a wrong value; all faults are named.
    """
    for name in os.environ:  # noqa: TID251 - here is where it is read
        setting = name.removeprefix(PREFIX).lower()
        if name.startswith(PREFIX) and setting not in {*Settings.model_fields, *OTHERS}:
            logger.warning("the variable %s is not used: %s", name, _unknown(Settings, setting))
    return read_settings(Settings, **given)


def read_settings(settings: type[S], **given: Any) -> S:
    """Settings of any class, an app's own for example; what is wrong is one line.

    Raises:
        ConfigurationError: a setting is unknown or has a wrong value; all faults are named.
    """
    try:
        return settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        faults = "; ".join(_fault(settings, fault) for fault in error.errors())
        raise ConfigurationError(f"wrong settings: {faults}") from None  # the cause would show the values


def _fault(settings: type[BaseSettings], fault: ErrorDetails) -> str:
    name = ".".join(map(str, fault["loc"]))
    if fault["type"] != "extra_forbidden":
        return f"{name}: {fault['msg']}"
    return _unknown(settings, name)


def _unknown(settings: type[BaseSettings], name: str) -> str:
    close = get_close_matches(name, settings.model_fields, n=1)
    return f"there is no setting {name}{f', but {close[0]}' if close else ''}"
