import asyncio

import pytest

from prom_faust.partitioned.tasks import AtWork, ending


class End:
    """Something that ends when it is let."""

    def __init__(self):
        self.begun = 0
        self.done = False
        self.free = asyncio.Event()

    async def __call__(self):
        self.begun += 1
        await self.free.wait()
        self.done = True


@pytest.fixture
def end():
    return End()


@pytest.fixture
def at_work():
    return AtWork()


async def test_it_ends_once_and_everybody_waits_for_it(end, at_work):
    stop = ending(end, at_work)
    waiting = [asyncio.create_task(stop()) for _ in range(2)]
    await asyncio.sleep(0)
    end.free.set()
    await asyncio.gather(*waiting)
    await stop()
    assert (end.begun, end.done) == (1, True)


async def test_what_it_waits_for_does_not_wait_for_it(end, at_work):
    stop = ending(end, at_work)

    async def handler(event):
        await stop()
        assert not end.done
        end.free.set()

    await at_work.within(handler)("event")
    await stop()
    assert end.done


async def test_a_task_that_a_handler_has_begun_waits(end, at_work):
    stop, begun = ending(end, at_work), []

    async def handler(event):
        begun.append(asyncio.create_task(stop()))

    await at_work.within(handler)("event")
    end.free.set()
    await begun[0]
    assert end.done


async def test_a_function_that_has_called_another_is_still_at_work(at_work):
    inner = at_work.within(lambda event: None)

    async def outer(event):
        await inner(event)
        assert at_work.here

    await at_work.within(outer)("event")
    assert not at_work.here


async def test_a_function_that_raises_is_at_work_no_more(at_work):
    def fails(event):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await at_work.within(fails)("event")
    assert not at_work.here


async def test_an_end_that_fails_fails_for_everybody(at_work):
    async def fails():
        raise OSError("no")

    stop = ending(fails, at_work)
    for _ in range(2):
        with pytest.raises(OSError, match="no"):
            await stop()
