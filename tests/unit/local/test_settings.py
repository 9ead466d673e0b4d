"""The folders: from the environment, else from the user's cache."""

from pathlib import Path

from platformdirs import user_cache_path

from prom_faust.local.settings import read_settings


def test_home_and_jars_are_in_the_users_cache_by_default(monkeypatch):
    monkeypatch.delenv("PROM_FAUST_HOME", raising=False)
    monkeypatch.delenv("PROM_FAUST_JARS", raising=False)
    cache = user_cache_path("prom-faust")
    assert (read_settings().home, read_settings().jars) == (cache, cache / "jars")


def test_another_home_shares_the_jars(monkeypatch, tmp_path):
    monkeypatch.delenv("PROM_FAUST_JARS", raising=False)
    jars = read_settings().jars
    monkeypatch.setenv("PROM_FAUST_HOME", str(tmp_path))
    assert (read_settings().home, read_settings().jars) == (tmp_path, jars)


def test_the_jars_can_be_elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("PROM_FAUST_JARS", str(tmp_path))
    assert read_settings().jars == tmp_path


def test_relative_paths_and_tildes_are_made_absolute(monkeypatch):
    monkeypatch.setenv("PROM_FAUST_HOME", "here")
    monkeypatch.setenv("PROM_FAUST_JARS", "~/jars")
    assert read_settings().home == Path.cwd() / "here"
    assert read_settings().jars == Path.home() / "jars"
