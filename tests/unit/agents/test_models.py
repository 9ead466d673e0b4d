"""What goes over the wire."""

import json

import pytest
from pydantic import ValidationError

from agents.models import Heartbeat, ProcessId, ProcessState

HEARTBEAT = {"pid": 7, "name": "sleep", "host": "box", "cpu_pct": 1.5, "mem_mb": 2.0}


def test_an_absent_session_is_absent_on_the_wire():
    assert json.loads(Heartbeat(**HEARTBEAT).to_json()) == HEARTBEAT


def test_a_known_session_is_on_the_wire():
    assert json.loads(Heartbeat(**HEARTBEAT, sid=3).to_json()) == HEARTBEAT | {"sid": 3}


def test_what_was_written_is_read():
    heartbeat = Heartbeat(**HEARTBEAT, sid=3)
    assert Heartbeat.from_json(heartbeat.to_json()) == heartbeat


@pytest.mark.parametrize(
    "value", [b"", b"{", b"null", b"[]", json.dumps(HEARTBEAT | {"pid": "7x"}).encode(), b'{"pid": 7}']
)
def test_what_is_no_heartbeat_is_refused(value):
    with pytest.raises(ValidationError):
        Heartbeat.from_json(value)


def test_a_field_that_no_one_knows_is_refused():
    with pytest.raises(ValidationError, match="extra"):
        Heartbeat.from_json(json.dumps(HEARTBEAT | {"colour": "red"}).encode())


def test_a_state_has_the_nine_fields_of_the_collection():
    state = ProcessState(processId=ProcessId("box:7:1"), **HEARTBEAT, sid=3, last_seen_ts=1, status="alive")
    assert set(json.loads(state.to_json())) == {
        "processId", "name", "host", "pid", "sid", "cpu_pct", "mem_mb", "last_seen_ts", "status",
    }  # fmt: skip
