"""What a coordinator answers while it loads its groups, in the very bytes of the protocol."""

import io

import pytest
from aiokafka.errors import GroupLoadInProgressError, KafkaError, NotCoordinatorForGroupError
from aiokafka.protocol.commit import OffsetFetchResponse_v3

from prom_faust.lane.kafka import committed_offsets
from prom_faust.lane.record import TopicPartition

MINE = TopicPartition("t", 0)


class Coordinator:
    """Answers with one response; the broker's side of the conversation."""

    group_id = "g"

    def __init__(self, topics, code):
        response = OffsetFetchResponse_v3(0, topics, code)
        self.response = OffsetFetchResponse_v3.decode(io.BytesIO(response.encode()))
        self.dead = False

    async def ensure_coordinator_known(self):
        pass

    async def _send_req(self, request):
        return self.response

    def coordinator_dead(self):
        self.dead = True


class Consumer:
    def __init__(self, topics, code=0):
        self._coordinator = Coordinator(topics, code)


async def ask(consumer):
    return await committed_offsets(consumer, [MINE])


async def test_an_offset_and_none_are_told():
    assert await ask(Consumer([("t", [(0, 7, "", 0)])])) == {MINE: 7}
    assert await ask(Consumer([("t", [(0, -1, "", 0)])])) == {MINE: None}


@pytest.mark.parametrize(
    ("code", "error"), [(14, GroupLoadInProgressError), (16, NotCoordinatorForGroupError)]
)
async def test_an_error_for_the_whole_group_is_no_missing_offset(code, error):
    consumer = Consumer([], code)
    with pytest.raises(error):
        await ask(consumer)
    assert consumer._coordinator.dead is (code == 16)


async def test_an_error_of_one_partition_is_no_missing_offset():
    with pytest.raises(KafkaError):
        await ask(Consumer([("t", [(0, -1, "", 3)])]))
