from itertools import product

import pytest
from pydantic import SecretStr, ValidationError

from prom_faust.exceptions import ConfigurationError
from prom_faust.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PROM_FAUST_{name.upper()}", raising=False)
    monkeypatch.delenv("MONGO_URL", raising=False)


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_described(name):
    description = Settings.model_fields[name].description
    assert description
    assert description.endswith(".")


def test_the_defaults():
    settings = load_settings()
    assert settings.mongo_url == "mongodb://127.0.0.1:27017/prom"
    assert (settings.startup_timeout, settings.write_deadline, settings.unique_wait) == (20, 10, 30)
    assert settings.create_topics is True


@pytest.mark.parametrize("name", sorted(Settings.model_fields.keys() - {"mongo_url"}))
def test_every_setting_is_read_from_the_environment(name, monkeypatch):
    special = {
        "create_topics": False,
        "assignor": "both",
        "worker_name": "w3",
        "ops": False,
        "log_format": "json",
        "ops_path": "/operator",
        "ops_token": SecretStr("a long secret"),
    }
    value = special.get(name, 3)
    given = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    monkeypatch.setenv(f"PROM_FAUST_{name.upper()}", given)
    assert getattr(load_settings(), name) == value


def test_secrets_are_not_shown():
    shown = repr(load_settings(mongo_url="mongodb://u:geheim@h", ops_token="geheim-geheim"))
    assert "geheim" not in shown


def test_the_url_is_the_argument_else_our_variable_else_the_common_one(monkeypatch):
    for given, ours, common in product(["given", None], ["ours", None], ["common", None]):
        for name, value in (("PROM_FAUST_MONGO_URL", ours), ("MONGO_URL", common)):
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        expected = given or ours or common or "mongodb://127.0.0.1:27017/prom"
        assert load_settings(mongo_url=given).mongo_url == expected


def test_an_argument_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("PROM_FAUST_WRITE_DEADLINE", "5")
    assert load_settings(write_deadline=2).write_deadline == 2
    assert load_settings(write_deadline=None).write_deadline == 5


def test_every_fault_is_named():
    with pytest.raises(ConfigurationError) as caught:
        load_settings(nope=1, write_deadline=-1, unique_wait="long")
    assert all(name in str(caught.value) for name in ("nope", "write_deadline", "unique_wait"))


def test_a_wrong_variable_is_named(monkeypatch):
    monkeypatch.setenv("PROM_FAUST_SWEEP_INTERVAL", "0")
    with pytest.raises(ConfigurationError, match="sweep_interval"):
        load_settings()


def test_settings_are_frozen():
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.write_deadline = 1.0


def test_an_unknown_setting_names_the_one_that_was_meant():
    with pytest.raises(ConfigurationError, match="there is no setting worker_nam, but worker_name"):
        load_settings(worker_nam="w1")
    with pytest.raises(ConfigurationError, match=r"there is no setting colour$"):
        load_settings(colour="red")


def test_an_unknown_variable_is_told(monkeypatch, caplog):
    monkeypatch.setenv("PROM_FAUST_WORKER_NAMME", "w1")
    monkeypatch.setenv("PROM_FAUST_HOME", "/nowhere")
    load_settings()
    assert [record.message for record in caplog.records] == [
        "the variable PROM_FAUST_WORKER_NAMME is not used: there is no setting worker_namme, but worker_name"
    ]
