"""What a measured process is told by the one that started it, through its environment."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from benchmarks.workload import Workload

__all__ = ["RunSettings"]


class RunSettings(BaseSettings):
    """The run, from ``PROM_BENCH_<NAME>``.

    Attributes:
        name: distinguishes the run: the Faust app's id, and the database's name.
        broker: Kafka's URL.
        mongo: MongoDB's URL, without a database.
        mongo_pid: the server's process id.
        workload: which records the topic holds.
        records: how many records to handle.
        limit: seconds after which the run ends with what it has handled.
        report: the file that the measurement is written to.
    """

    model_config = SettingsConfigDict(env_prefix="PROM_BENCH_", frozen=True)

    name: str
    broker: str
    mongo: str
    mongo_pid: int
    workload: Workload
    records: int
    limit: float
    report: Path

    @property
    def database(self) -> str:
        """The run's database."""
        return self.name

    @property
    def bootstrap(self) -> str:
        """The broker as ``host:port``."""
        return self.broker.removeprefix("kafka://")

    def environment(self) -> dict[str, str]:
        """The variables that give another process the same settings."""
        return {f"PROM_BENCH_{name.upper()}": str(value) for name, value in self.model_dump().items()}
