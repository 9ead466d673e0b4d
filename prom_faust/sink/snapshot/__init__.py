"""The live records of a topic, copied to another one, from which a collection can be warmed."""

from prom_faust.sink.snapshot.envelope import snapshot_topic
from prom_faust.sink.snapshot.service import Snapshot, replay_snapshot, snapshot

__all__ = ["Snapshot", "replay_snapshot", "snapshot", "snapshot_topic"]
