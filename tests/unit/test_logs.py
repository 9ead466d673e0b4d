"""Log lines for machines, and not too many of them."""

import json
import logging
from datetime import UTC, datetime

import faust
import pytest

from prom_faust.exceptions import ConfigurationError
from prom_faust.lane.record import PlainRecord, TopicPartition
from prom_faust.logs import Throttle, json_logging, place
from tests.support.app import installed


def fail():
    raise ValueError("no")


@pytest.fixture(params=["stream", "file"])
async def lines(request, tmp_path, capsys):
    """The lines of a worker of an app that logs JSON."""
    root = logging.root
    handlers, level = root.handlers[:], root.level
    log = tmp_path / "worker.log"

    def read():
        app = installed("shop", log_format="json").app
        app.finalize()
        file = {"logfile": str(log)} if request.param == "file" else {}
        faust.Worker(app, loglevel="INFO", redirect_stdouts=False, **file)._setup_logging()
        logger = logging.getLogger("some.library")
        logger.debug("not told")
        logger.warning("first\nsecond ü", extra={"sink": "c", **place(PlainRecord("t", 1, 2))})
        try:
            fail()
        except ValueError:
            logger.exception("failed")
        return (log.read_text() if file else capsys.readouterr().err).splitlines()

    yield read
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


async def test_a_line_is_one_json_object_with_the_fields_of_its_place(lines):
    warning, failed = map(json.loads, lines())
    moment = datetime.fromisoformat(warning.pop("time"))
    assert moment.utcoffset().total_seconds() == 0
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 60
    assert warning == {
        "level": "WARNING",
        "logger": "some.library",
        "message": "first\nsecond ü",
        "sink": "c",
        "topic": "t",
        "partition": 1,
        "offset": 2,
    }
    assert "ValueError: no" in failed["exc_info"]


def test_the_setting_is_the_apps_own_logging_config():
    app = installed("shop", log_format="json").app
    app.finalize()
    assert app.conf.logging_config == json_logging()


def test_without_it_faust_logs_as_it_does():
    app = installed("shop").app
    app.finalize()
    assert not app.conf.logging_config


def test_two_words_on_how_lines_look_are_a_named_error():
    app = installed("shop", log_format="json", conf={"logging_config": {"version": 1}}).app
    with pytest.raises(ConfigurationError, match="logging_config= both say"):
        app.finalize()


def test_a_place_is_a_partition_or_a_record():
    assert place(TopicPartition("t", 1)) == {"topic": "t", "partition": 1}
    assert place(PlainRecord("t", 1, 2)) == {"topic": "t", "partition": 1, "offset": 2}


def test_a_flood_is_a_line_per_interval_and_no_event_is_lost():
    seconds = [0.0]
    throttle = Throttle(lambda: seconds[0], every=10.0)
    told = []
    for step in range(1_000):
        seconds[0] = step * 0.1
        if count := throttle.count(2):
            told.append(count)
    assert len(told) == 10
    seconds[0] = 1_000.0
    assert sum(told) + throttle.count(2) == 2_002
