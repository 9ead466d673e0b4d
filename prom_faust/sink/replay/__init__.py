"""Records that come late, at their own positions: dead letters that were mended, and snapshots.

``outlook`` decides from what the log holds behind them whether they may still count; ``service`` looks ahead and
applies them through the sink's own guard.
"""

from prom_faust.sink.replay.candidate import Candidate, Outcome, Result, Verdict
from prom_faust.sink.replay.service import Pace, Source, replay

__all__ = ["Candidate", "Outcome", "Pace", "Result", "Source", "Verdict", "replay"]
