"""One owner per logical partition at any time: three workers, one of which is killed and one asked to end."""

import asyncio
import random
import signal
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise

import pytest
from aiokafka import AIOKafkaProducer

from prom_faust import partition_of
from tests.support.projection import eventually
from tests.support.worker import FaustWorker

pytestmark = pytest.mark.asyncio(loop_scope="module")

RECORDS = 2_400
SECONDS = 9.0


@dataclass
class Handling:
    worker: str
    partition: int
    source: tuple[int, int]
    key: str
    begin: float
    end: float | None = None


class Reader:
    """A worker, and what its handler and its hooks have written."""

    def __init__(self, name, folder, env):
        self.name = name
        self.out = folder / name
        self.worker = FaustWorker(
            "tests.integration.partitioned.app",
            folder / f"{name}.log",
            {**env, "NAME": name, "OUT": str(self.out)},
        )

    def lines(self):
        """Whole lines only: the last one may be on its way."""
        text = self.out.read_text() if self.out.exists() else ""
        return [line.split() for line in text.rpartition("\n")[0].splitlines()]

    def owned(self):
        """The logical partitions of the last assignment, unless they were given back."""
        told = [line for line in self.lines() if line[0] in {"assigned", "revoked"}]
        return set(map(int, told[-1][2:])) if told and told[-1][0] == "assigned" else set()

    def handlings(self):
        """What it has handled, in order; checks that its hooks enclose it."""
        found, owned, at_work = [], set(), {}
        for what, at, *words in self.lines():
            if what == "assigned":
                assert not owned, f"{self.name}: assigned {words} beside {owned}"
                owned = set(map(int, words))
            elif what == "revoked":
                assert owned == set(map(int, words))
                assert not at_work, f"{self.name} gave back what it was at work on: {at_work}"
                owned = set()
            elif what == "begin":
                partition, source, offset = map(int, words[:3])
                assert partition in owned, f"{self.name}: {words} while it owns {owned}"
                assert partition not in at_work, f"{self.name}: {words} beside {at_work[partition]}"
                handling = Handling(self.name, partition, (source, offset), words[3], float(at))
                at_work[partition] = handling
                found.append(handling)
            else:
                at_work.pop(int(words[0])).end = float(at)
        return found


@pytest.fixture
def readers(kafka, unique, tmp_path):
    env = {"KAFKA_URL": kafka.url, "TOPIC": unique}
    readers = [Reader(name, tmp_path, env) for name in ("a", "b", "c")]
    yield readers
    for reader in readers:
        reader.worker.kill()


async def produce(bootstrap, topic, seed):
    """Records with Kafka's own partitioner, over some seconds; gives the place and key of each."""
    rng = random.Random(seed)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    began, sent = time.monotonic(), []
    for number in range(RECORDS):
        key = f"k{rng.randrange(300)}"
        sent.append((key, await producer.send(topic, key=key.encode(), value=b'{"n": %d}' % number)))
        await asyncio.sleep(max(0.0, began + SECONDS * number / RECORDS - time.monotonic()))
    places = {}
    for key, future in sent:
        record = await future
        places[record.partition, record.offset] = key
    await producer.stop()
    return places


async def test_each_logical_partition_has_one_owner_whatever_happens_to_the_workers(
    kafka, topics, unique, readers
):
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for reader in readers:
        reader.worker.start()
    await eventually(lambda: all_shared(readers, topics, unique), seconds=40)
    killed, ended, left = rng.sample(readers, 3)
    producing = asyncio.create_task(produce(topics.bootstrap, unique, seed))
    await asyncio.sleep(SECONDS * 0.2 + rng.random())
    killed.worker.kill()
    killed_at = time.time()
    await asyncio.sleep(SECONDS * 0.5)
    ended.worker.signal(signal.SIGTERM)
    places = await producing
    assert await asyncio.to_thread(ended.worker.wait, 15) == 0, ended.worker.tail()
    done = await eventually(lambda: everything(readers, places), seconds=30)
    check(done, places, killed=killed.name, killed_at=killed_at)
    repeated = sum(
        count - 1 for count in Counter(handling.source for handling in done if handling.end).values()
    )
    shares = Counter(handling.worker for handling in done)
    print(f"killed {killed.name}, ended {ended.name}: handled {dict(shares)}, {repeated} of them again")
    assert repeated < RECORDS / 4
    assert left.owned() == set(range(8))


async def all_shared(readers, topics, topic):
    """Whether all have a share, and the group's first stage has begun."""
    owned = [reader.owned() for reader in readers]
    if not all(owned) or sum(map(len, owned)) != 8:
        return False
    return len(await topics.committed(f"{topic}.readers.repartition", topic)) == 4


async def everything(readers, places):
    done = [handling for reader in readers for handling in reader.handlings()]
    return {handling.source for handling in done if handling.end} == set(places) and done


def check(done, places, *, killed, killed_at):
    """Intervals of one logical partition do not overlap between workers, but for the one that was cut off."""
    by_partition = defaultdict(list)
    for handling in done:
        assert handling.key == places[handling.source]
        assert handling.partition == partition_of(handling.key, 8)
        by_partition[handling.partition].append(handling)
    for partition, handlings in by_partition.items():
        handlings.sort(key=lambda handling: handling.begin)
        for earlier, later in pairwise(handlings):
            if earlier.end is None:
                assert earlier.worker == killed
                assert later.begin > killed_at
            else:
                assert earlier.end <= later.begin, f"partition {partition}: {earlier} and {later}"
    open_ends = [handling for handling in done if handling.end is None]
    assert all(handling.worker == killed for handling in open_ends)
