"""prom_faust makes a Faust app safe to run in production.

Start with :func:`install`; everything public is named here.
"""

from prom_faust.app import Prom
from prom_faust.assignment.coordinator import PartitionCoordinator
from prom_faust.assignment.faust import RendezvousAssignor
from prom_faust.events.event import Event
from prom_faust.exceptions import PayloadInvalidError, RecordError
from prom_faust.installation import install
from prom_faust.lane.batch import Batch
from prom_faust.lane.record import Record
from prom_faust.partitioned.event import PartitionedEvent
from prom_faust.routing.hashing import partition_of
from prom_faust.schema.faust import RegistryCodec, RegistrySchema
from prom_faust.schema.registry import SchemaRegistry
from prom_faust.sink.faust import Projection, start_changelog_projector
from prom_faust.sink.options import ChangelogOptions, Index

__all__ = [
    "Batch",
    "ChangelogOptions",
    "Event",
    "Index",
    "PartitionCoordinator",
    "PartitionedEvent",
    "PayloadInvalidError",
    "Projection",
    "Prom",
    "Record",
    "RecordError",
    "RegistryCodec",
    "RegistrySchema",
    "RendezvousAssignor",
    "SchemaRegistry",
    "install",
    "partition_of",
    "start_changelog_projector",
]
