"""Records that come late, at their own positions: dead letters that were mended, and snapshots.

``kafka`` looks ahead on the log, ``outlook`` decides from what it holds behind them whether they may still count,
and ``mongo`` applies them through the sink's own guard.
"""

from prom_faust.sink.replay.candidate import Candidate, Outcome, Result, Verdict
from prom_faust.sink.replay.kafka import Source
from prom_faust.sink.replay.service import replay
from prom_faust.sink.replay.tasks import Pace

__all__ = ["Candidate", "Outcome", "Pace", "Result", "Source", "Verdict", "replay"]
