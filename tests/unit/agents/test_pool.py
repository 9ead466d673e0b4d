"""The processes that score: they compute beside the event loop, may die at any moment, and leave nobody behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest
import pytest_asyncio

from agents.pool import Pool, ScorerDiedError
from tests.support.hub import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAMPLE = {"cpu": 1.0, "mem": 20.0}


def new_pool():
    return Pool(2, window=20, limit=1_000)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running():
    pool = new_pool()
    yield pool
    await pool.stop()


@pytest.fixture
def pool(running):
    """Two processes, which know nothing of earlier tests."""
    running.keep([])
    return running


async def pids(pool):
    """Of its processes, once all are there and have seen a sample."""
    await asyncio.gather(*(pool.score(number, "p", **SAMPLE) for number in range(len(pool.scorers))))
    return [scorer.pid for scorer in pool.scorers]


def end_of(pid, seconds=10.0):
    """Wait until a process is no more; fails if it stays."""
    with suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(seconds)


async def test_nothing_runs_before_the_first_sample_and_after_the_end():
    pool = new_pool()
    await pool.start()
    assert [scorer.pid for scorer in pool.scorers] == [None, None]
    begun = await pids(pool)
    assert len(set(begun)) == 2
    await pool.stop()
    assert not any(map(psutil.pid_exists, begun))
    with pytest.raises(ScorerDiedError, match="stopped"):
        await pool.score(0, "p", **SAMPLE)


async def test_a_partition_s_samples_come_to_one_process_in_order(pool):
    found = await asyncio.gather(*(pool.score(3, "p", **SAMPLE) for _ in range(50)))
    assert [score.samples for score in found] == list(range(1, 51))
    assert (await pool.score(3, "other", **SAMPLE)).samples == 1
    assert (await pool.score(5, "p", **SAMPLE)).samples == 1, "another partition in the same process"


async def test_models_of_partitions_that_are_gone_are_dropped(pool):
    for partition in range(4):
        await pool.score(partition, "p", **SAMPLE)
    pool.keep([0, 3])
    assert [(await pool.score(number, "p", **SAMPLE)).samples for number in range(4)] == [2, 1, 1, 2]


async def test_a_killed_process_is_replaced_and_only_its_models_are_lost(pool):
    first, second = await pids(pool)
    os.kill(first, signal.SIGKILL)
    end_of(first)
    assert (await pool.score(0, "p", **SAMPLE)).samples == 1
    assert (await pool.score(1, "p", **SAMPLE)).samples == 2
    assert pool.scorers[0].pid not in {None, first}
    assert pool.scorers[1].pid == second


async def test_a_sample_over_which_a_process_dies_is_scored_by_the_next_one(pool):
    first, _ = await pids(pool)
    burst = [asyncio.create_task(pool.score(0, f"p{number}", **SAMPLE)) for number in range(200)]
    done, _ = await asyncio.wait(burst, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) < 200
    os.kill(first, signal.SIGKILL)
    assert {score.samples for score in await asyncio.gather(*burst)} == {1}
    assert pool.scorers[0].pid != first


async def test_a_stuck_process_is_killed(pool, monkeypatch):
    first, _ = await pids(pool)
    with monkeypatch.context() as impatient:
        impatient.setattr(pool.scorers[0], "_answer_seconds", 0.3)
        os.kill(first, signal.SIGSTOP)
        with pytest.raises(ScorerDiedError, match=f"{first} gave no answer for 0.3 s"):
            await pool.scorers[0].ask(partition=0, key="p", **SAMPLE)
    end_of(first)
    assert (await pool.score(0, "p", **SAMPLE)).samples == 1


async def test_a_sender_that_leaves_before_its_answer_shifts_nobody_s(pool):
    await pids(pool)
    asked = [asyncio.create_task(pool.score(0, f"p{number}", **SAMPLE)) for number in range(20)]
    await asyncio.sleep(0)
    for task in asked[::2]:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert [(await pool.score(0, "p", **SAMPLE)).samples for _ in range(3)] == [2, 3, 4]


async def test_a_signal_for_the_worker_ends_no_process_of_its_pool(pool):
    first, _ = await pids(pool)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(first, number)
    assert (await pool.score(0, "p", **SAMPLE)).samples == 2
    assert os.getsid(first) == first, "Ctrl-C does not even reach it"


async def test_the_event_loop_is_free_while_a_burst_is_scored(pool):
    """New processes are the most work: the trees of each are built."""
    own = [psutil.Process(pid) for pid in await pids(pool)]
    before = sum(process.cpu_times().user for process in own)
    gaps = []

    async def beat():
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.005)
            last, previous = time.perf_counter(), last
            gaps.append(last - previous)

    beating = asyncio.create_task(beat())
    await asyncio.gather(*(pool.score(number % 8, f"q{number}", **SAMPLE) for number in range(200)))
    beating.cancel()
    computed = sum(process.cpu_times().user for process in own) - before
    print(f"worst gap {max(gaps) * 1000:.0f} ms, {computed:.2f} s computed meanwhile")
    assert computed > 0.3
    assert max(gaps) < 0.25


WORKER = """
import asyncio
from agents.pool import Pool

async def main():
    pool = Pool(2, window=20, limit=10)
    for number in (0, 1):
        await pool.score(number, "p", cpu=1.0, mem=1.0)
    print(*(scorer.pid for scorer in pool.scorers), flush=True)
    await asyncio.gather(*(pool.score(n, f"p{m}", cpu=1.0, mem=1.0) for m in range(10 ** 5) for n in (0, 1)))

asyncio.run(main())
"""


async def test_the_processes_end_with_a_worker_that_is_killed_amid_a_burst():
    with subprocess.Popen(
        [sys.executable, "-c", WORKER], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as worker:
        begun = [int(pid) for pid in worker.stdout.readline().split()]
        assert len(begun) == 2
        worker.kill()
        worker.wait(10)
        for pid in begun:
            end_of(pid)
