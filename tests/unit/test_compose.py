"""What the schema of compose files cannot see; `make lint` checks the rest."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from agents.settings import Settings
from prom_faust.local.jars import KAFKA_VERSION

ROOT = Path(__file__).parents[2]
COMPOSE = YAML(typ="safe").load(ROOT / "docker-compose.yml")
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
IGNORED = (ROOT / ".dockerignore").read_text().split()


def environment(setting):
    """The environment variable of a setting of the event hub."""
    alias = Settings.model_fields[setting].validation_alias
    return alias or f"{Settings.model_config['env_prefix']}{setting.upper()}"


def test_a_service_waits_for_healthy_services_that_have_a_health_check():
    waits = [
        (name, on) for service in SERVICES.values() for name, on in service.get("depends_on", {}).items()
    ]
    assert len(waits) == 2
    for name, on in waits:
        assert on == {"condition": "service_healthy"}
        assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_says_how_it_is_and_ends_in_its_own_time(name):
    assert SERVICES[name]["healthcheck"]["test"]
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["stop_grace_period"]


def test_there_may_be_several_workers():
    assert not {"container_name", "hostname", "ports", "volumes"} & SERVICES["worker"].keys()
    assert not any("container_name" in service for service in SERVICES.values())


@pytest.mark.parametrize("name", ["kafka", "mongo"])
def test_nothing_is_published_beyond_this_machine(name):
    for port in SERVICES[name]["ports"]:
        assert re.fullmatch(r"127\.0\.0\.1:\$\{\w+:-(\d+)\}:\1", port)
    assert SERVICES[name].get("network_mode") is None


def test_images_are_pinned():
    images = [service["image"] for service in SERVICES.values() if "image" in service]
    assert len(images) == 2
    assert all(re.fullmatch(r"[\w/]+:\d+\.\d+\.\d+", image) for image in images)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"python:3.12-slim"}


def test_kafka_is_the_version_of_the_local_stack():
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


def test_every_volume_is_named_and_used():
    used = [
        volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])
    ]
    assert sorted(used) == sorted(COMPOSE["volumes"])


def test_kafka_keeps_its_log_on_its_volume():
    kafka = SERVICES["kafka"]
    assert [volume.partition(":")[2] for volume in kafka["volumes"]] == [
        kafka["environment"]["KAFKA_LOG_DIRS"]
    ]


def test_the_worker_is_told_what_the_event_hub_reads():
    known = {environment(setting) for setting in Settings.model_fields}
    assert known >= {"KAFKA_URL", "MONGO_URL", "EVENT_HUB_WEB_BIND"}
    assert SERVICES["worker"]["environment"].keys() <= known


def test_the_worker_is_sent_where_the_servers_are():
    environment = SERVICES["worker"]["environment"]
    advertised = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert environment["KAFKA_URL"].replace("kafka://", "INSIDE://") in advertised
    name = SERVICES["mongo"]["command"][SERVICES["mongo"]["command"].index("--replSet") + 1]
    assert environment["MONGO_URL"] == f"mongodb://mongo:27017/prom?replicaSet={name}"
    assert f'_id: "{name}"' in SERVICES["mongo"]["healthcheck"]["test"][-1]
    assert 'host: "mongo:27017"' in SERVICES["mongo"]["healthcheck"]["test"][-1]


def test_every_listener_has_a_protocol():
    settings = SERVICES["kafka"]["environment"]
    listeners = {listener.partition(":")[0] for listener in settings["KAFKA_LISTENERS"].split(",")}
    mapped = {
        entry.partition(":")[0] for entry in settings["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")
    }
    advertised = {entry.partition(":")[0] for entry in settings["KAFKA_ADVERTISED_LISTENERS"].split(",")}
    assert listeners == mapped == advertised | {settings["KAFKA_CONTROLLER_LISTENER_NAMES"]}


def test_web_pages_stay_on_this_machine_unless_the_deployment_says_otherwise():
    assert Settings.model_fields["web_bind"].default == "127.0.0.1"
    assert SERVICES["worker"]["environment"]["EVENT_HUB_WEB_BIND"] == "0.0.0.0"
    port = Settings.model_fields["web_port"].default
    assert f":{port}/ops/ready" in SERVICES["worker"]["healthcheck"]["test"][-1]


def test_the_image_runs_the_event_hub_as_an_ordinary_user():
    assert DOCKERFILE.index("\nUSER hub\n") < DOCKERFILE.index("\nCMD ")
    assert 'CMD ["faust", "-A", "agents", "worker", "-l", "info"]' in DOCKERFILE


def test_what_the_image_copies_is_sent_to_the_builder():
    copied = [
        word
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for word in line.split()[:-1]
    ]
    assert sorted(copied) == sorted(line[1:] for line in IGNORED if line.startswith("!"))
    assert all((ROOT / name).exists() for name in copied)
