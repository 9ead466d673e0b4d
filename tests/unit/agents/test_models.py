"""What goes over the wire."""

import json

import pytest
from pydantic import ValidationError

from agents.models import Heartbeat, ProcessId, ProcessState, registry
from prom_faust.exceptions import DecodeError

HEARTBEAT = {"pid": 7, "name": "sleep", "host": "box", "cpu_pct": 1.5, "mem_mb": 2.0}
heartbeats = registry.latest("heartbeat.received")
states = registry.latest("process.state")


def test_an_absent_session_is_absent_on_the_wire():
    assert json.loads(heartbeats.encode(Heartbeat(**HEARTBEAT))) == HEARTBEAT


def test_a_known_session_is_on_the_wire():
    assert json.loads(heartbeats.encode(Heartbeat(**HEARTBEAT, sid=3))) == HEARTBEAT | {"sid": 3}


def test_what_was_written_is_read():
    heartbeat = Heartbeat(**HEARTBEAT, sid=3)
    assert heartbeats.decode(heartbeats.encode(heartbeat)) == heartbeat


@pytest.mark.parametrize(
    "value", [b"", b"{", b"null", b"[]", json.dumps(HEARTBEAT | {"pid": "7x"}).encode(), b'{"pid": 7}']
)
def test_what_is_no_heartbeat_is_refused(value):
    with pytest.raises(DecodeError, match="not a Heartbeat"):
        heartbeats.decode(value)


def test_a_field_that_no_one_knows_is_refused():
    with pytest.raises(ValidationError, match="extra"):
        Heartbeat(**HEARTBEAT, colour="red")


def test_a_state_has_the_nine_fields_of_the_collection():
    state = ProcessState(processId=ProcessId("box:7:1"), **HEARTBEAT, sid=3, last_seen_ts=1, status="alive")
    assert set(json.loads(states.encode(state))) == {
        "processId", "name", "host", "pid", "sid", "cpu_pct", "mem_mb", "last_seen_ts", "status",
    }  # fmt: skip


def test_both_are_version_1_and_backward_compatible():
    for version in (heartbeats, states):
        assert (version.number, version.compatibility) == (1, "backward")
