"""prom_faust makes a Faust app safe to run in production.

Start with :func:`install`; everything public is named here.
"""

from prom_faust.app import Prom, install
from prom_faust.lane.batch import Batch
from prom_faust.lane.record import Record
from prom_faust.sink.faust import Projection, start_changelog_projector
from prom_faust.sink.options import ChangelogOptions, Index

__all__ = [
    "Batch",
    "ChangelogOptions",
    "Index",
    "Projection",
    "Prom",
    "Record",
    "install",
    "start_changelog_projector",
]
