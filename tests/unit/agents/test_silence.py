"""When a silent process is stale, and when it is gone."""

import pytest

from agents.models import ProcessId, ProcessState
from agents.silence import Limits, judge

LIMITS = Limits(stale_after=15, gone_after=60)
SEEN = 100_000


def verdict_at(seconds, *, status="alive", listening_since=0):
    state = ProcessState(
        processId=ProcessId("box:7:1"),
        name="sleep",
        host="box",
        pid=7,
        cpu_pct=0,
        mem_mb=1,
        last_seen_ts=SEEN,
        status=status,
    )
    return judge(
        state, now_ms=round(seconds * 1000), listening_since_ms=round(listening_since * 1000), limits=LIMITS
    )


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [(100, "heard"), (115, "heard"), (115.001, "stale"), (160, "stale"), (160.001, "gone")],
)
def test_an_alive_process_becomes_stale_and_then_gone(seconds, verdict):
    assert verdict_at(seconds) == verdict


@pytest.mark.parametrize(("seconds", "verdict"), [(116, "heard"), (160, "heard"), (160.001, "gone")])
def test_a_stale_process_is_not_made_stale_again(seconds, verdict):
    assert verdict_at(seconds, status="stale") == verdict


@pytest.mark.parametrize(("seconds", "verdict"), [(515, "heard"), (515.001, "stale"), (560.001, "gone")])
def test_time_in_which_nobody_listened_does_not_count(seconds, verdict):
    assert verdict_at(seconds, listening_since=500) == verdict


def test_a_heartbeat_from_a_clock_ahead_of_ours_is_no_silence():
    assert verdict_at(90) == "heard"
