"""The broker's settings: on 127.0.0.1 only, and the caller's word is the last."""

from pathlib import Path

from prom_faust.local.kafka import broker_settings


def test_every_address_is_local():
    settings = broker_settings(1111, 2222, Path("/data"), {})
    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:1111,CONTROLLER://127.0.0.1:2222"
    assert settings["advertised.listeners"] == "PLAINTEXT://127.0.0.1:1111"
    assert settings["controller.quorum.voters"] == "1@127.0.0.1:2222"


def test_topics_are_not_created_by_mistake_unless_asked_for():
    key = "auto.create.topics.enable"
    assert broker_settings(1, 2, Path("/data"), {})[key] == "false"
    assert broker_settings(1, 2, Path("/data"), {key: "true"})[key] == "true"
