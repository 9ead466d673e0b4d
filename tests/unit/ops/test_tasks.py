import asyncio
import threading

import pytest

from prom_faust.exceptions import UnreachableError
from prom_faust.ops.tasks import Cached, in_loop


class Asked:
    """A question that counts how often it is asked, and may fail or take its time."""

    def __init__(self):
        self.count = 0
        self.error = None
        self.seconds = 0.0

    async def __call__(self):
        self.count += 1
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        return self.count


@pytest.fixture
def asked():
    return Asked()


async def test_many_who_ask_at_once_are_one_question(asked):
    asked.seconds = 0.05
    cached = Cached(asked)
    answers = await asyncio.gather(*(cached.get() for _ in range(50)))
    assert asked.count == 1
    assert {answer.value for answer in answers} == {1}


async def test_an_answer_serves_for_a_while_and_no_longer(asked):
    cached = Cached(asked, fresh=0.05)
    assert (await cached.get()).value == (await cached.get()).value == 1
    await asyncio.sleep(0.06)
    assert (await cached.get()).value == 2


async def test_a_failure_leaves_the_last_answer_with_its_age(asked):
    cached = Cached(asked, fresh=0.0)
    await cached.get()
    asked.error = UnreachableError("Kafka is away")
    await asyncio.sleep(0.02)
    answer = await cached.get()
    assert (answer.value, answer.error) == (1, "Kafka is away")
    assert answer.age >= 0.02


async def test_a_failure_serves_for_a_while_too(asked):
    asked.error = OSError("refused")
    cached = Cached(asked)
    assert (await cached.get()).error == (await cached.get()).error == "OSError('refused')"
    assert asked.count == 1


async def test_nobody_waits_for_long(asked):
    asked.seconds = 10.0
    cached = Cached(asked, timeout=0.1)
    began = asyncio.get_running_loop().time()
    answer = await cached.get()
    assert asyncio.get_running_loop().time() - began < 0.2
    assert (answer.value, answer.age) == (None, None)
    assert "no answer within" in (await cached.get()).error


async def test_after_an_outage_the_answers_are_fresh_again(asked):
    cached = Cached(asked, fresh=0.0)
    asked.error = OSError("refused")
    await cached.get()
    asked.error = None
    answer = await cached.get()
    assert (answer.value, answer.error) == (2, None)


@pytest.fixture
def other_loop():
    loop = asyncio.new_event_loop()

    def run_to_the_end():
        loop.run_forever()
        if left := asyncio.all_tasks(loop):
            loop.run_until_complete(asyncio.wait(left))

    thread = threading.Thread(target=run_to_the_end)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def where():
    return asyncio.get_running_loop()


async def test_work_is_done_in_the_loop_that_is_named(other_loop):
    here = asyncio.get_running_loop()
    assert await in_loop(here, where(), timeout=1.0) is here
    assert await in_loop(other_loop, where(), timeout=1.0) is other_loop


async def test_a_loop_that_stands_still_is_not_waited_for(other_loop):
    gate = threading.Event()
    other_loop.call_soon_threadsafe(gate.wait)
    with pytest.raises(TimeoutError):
        await in_loop(other_loop, where(), timeout=0.1)
    gate.set()
