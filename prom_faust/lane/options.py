"""How a lane reads: its options, as plain values. Pure."""

from dataclasses import dataclass, field

from prom_faust.lane.failure.policy import Policy
from prom_faust.lane.history import Reset

__all__ = ["LaneOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneOptions:
    """How a lane reads.

    Args:
        topic: the topic.
        group: the consumer group.
        batch: the most records in one batch.
        buffer: the most records read ahead and not yet worked on.
        max_bytes: the most bytes of records in one batch; twice that is the most read ahead.
        reset: where a group without committed offsets starts.
        retry_after: seconds until held and put-back records come again, where the agent says nothing else.
        hold_limit: the most held records of a partition before it takes no new ones.
        drain_timeout: seconds that a stopping lane waits for batches in flight.
        commit_timeout: seconds after which a commit that does not return is tried again later.
        history_interval: seconds between two comparisons of the log with the stored positions, and the age
            after which a changed partition count is seen.
        grows: whether the topic may get more partitions, as a jump-routed one may: its keys then only move up.
        follows_deletes: whether a delete that was missed matters, where positions are stored.
        rebuild: what an operator should do about lost history; ``{app}`` stands for the app's name.
        member: this member's stable name in the group; the worker's by default.
        heartbeat_interval: seconds between two heartbeats; the app's ``broker_heartbeat_interval`` by default.
        session_timeout: seconds after which a silent member is dead; the app's ``broker_session_timeout`` by
            default.
        static: whether the app's ``consumer_group_instance_id`` counts here. A static member does not leave.
        strict: whether work waits while no heartbeat of a whole session was answered: others may own the
            partitions by then.
        policy: what is done with a batch over which the agent raises.
        slots: how many batches, of different partitions, may be in flight; the agent's concurrency by default.
        parts: into how many parts, by key, what a slot has in flight is divided; each is a batch for the agent.
    """

    topic: str
    group: str
    batch: int = 500
    buffer: int = 10_000
    max_bytes: int = 8 * 1024 * 1024
    reset: Reset = "earliest"
    retry_after: float = 0.5
    hold_limit: int = 1_000
    drain_timeout: float = 8.0
    commit_timeout: float = 5.0
    history_interval: float = 15.0
    grows: bool = False
    follows_deletes: bool = True
    rebuild: str = "delete the consumer group while no worker runs, to read from the start again."
    member: str | None = None
    heartbeat_interval: float | None = None
    session_timeout: float | None = None
    static: bool = True
    strict: bool = False
    policy: Policy = field(default_factory=Policy)
    slots: int | None = None
    parts: int = 1
