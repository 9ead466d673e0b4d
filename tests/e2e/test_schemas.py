"""The event hub's schemas at work: what is refused, and how one grows."""

import pytest


@pytest.fixture(scope="module")
def worker(hub):
    with hub.quiet_worker() as worker:
        yield worker


async def test_every_refused_send_says_why_and_produces_nothing(hub, worker, topics):
    before = await topics.ends("heartbeat.received")
    done = hub.command("refused")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 6
    assert all(": heartbeat.received v1: /" in line for line in lines)
    assert lines[1].endswith('/pid: "7" is not of type "integer"')
    assert await topics.ends("heartbeat.received") == before


def test_version_2_reads_version_1(hub, worker):
    done = hub.command("note")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("sent Note") == 2
    read = hub.until(
        lambda: [line for line in hub.log(worker).splitlines() if " says of box:7:1: slow" in line],
        lambda found: len(found) == 2,
    )
    assert "v1: None says of" in read[0]
    assert "v2: ann says of" in read[1]
