"""Where the local stack keeps its files: the only place of `prom_faust.local` that reads the environment."""

from pathlib import Path

from platformdirs import user_cache_path
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["LocalSettings", "read_settings"]


def _cache() -> Path:
    return user_cache_path("prom-faust")


def _jars() -> Path:
    return _cache() / "jars"


class LocalSettings(BaseSettings):
    """The folders of the local stack, from `PROM_FAUST_HOME` and `PROM_FAUST_JARS`."""

    model_config = SettingsConfigDict(
        env_prefix="PROM_FAUST_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    home: Path = Field(default_factory=_cache)
    """Data, logs and the state file. Two homes are two stacks that know nothing of each other."""

    jars: Path = Field(default_factory=_jars)
    """Kafka's jars. They are the same for every home, so the default does not lie inside of `home`."""


def read_settings() -> LocalSettings:
    """Read the folders from the environment, with `~` and relative paths made absolute."""
    settings = LocalSettings()
    return LocalSettings(
        home=settings.home.expanduser().absolute(),
        jars=settings.jars.expanduser().absolute(),
    )
