"""The servers that every test of the real thing shares: one broker and one MongoDB server for the session.

A server that does not start fails the tests that need it; nothing is skipped.
"""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from prom_faust.local import KafkaServer, MongoServer, free_port
from tests.support.drivers import DRIVERS
from tests.support.hub import Hub
from tests.support.kafka import Topics


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--driver", choices=DRIVERS, default="pymongo", help="whose databases the tests use")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    with KafkaServer(tmp_path_factory.mktemp("kafka"), free_port()) as server:
        yield server


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    with MongoServer(tmp_path_factory.mktemp("mongo"), free_port()) as server:
        yield server


@pytest.fixture
def own_mongo(tmp_path: Path) -> Iterator[MongoServer]:
    """A MongoDB server that the test may kill."""
    with MongoServer(tmp_path / "mongo", free_port()) as server:
        yield server


@pytest.fixture
def unique() -> str:
    """A name that no other test uses."""
    return f"t{uuid4().hex[:10]}"


@pytest.fixture
async def topics(kafka: KafkaServer):
    async with Topics(f"127.0.0.1:{kafka.port}") as topics:
        yield topics


@pytest.fixture
def driver(request: pytest.FixtureRequest) -> str:
    """Whose database a test gets, unless it runs with both."""
    return str(request.config.getoption("driver"))


@pytest.fixture
async def database(mongo: MongoServer, unique: str, driver: str):
    client = DRIVERS[driver](mongo.url, directConnection=True, serverSelectionTimeoutMS=5_000)
    yield client.get_database(unique)
    await client.drop_database(unique)
    closed = client.close()
    if closed is not None:  # motor's is done when it returns
        await closed


@pytest.fixture(scope="session")
def hub(kafka: KafkaServer, mongo: MongoServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """The event hub of ``agents/``; a test starts as many workers of it as it needs."""
    hub = Hub(kafka, mongo, tmp_path_factory.mktemp("workers"))
    yield hub
    hub.close()
