"""Records that come late, at their own positions: dead letters that were mended, and snapshots.

``outlook`` decides from what the log holds behind them whether they may still count; ``service`` looks ahead and
applies them through the sink's own guard.
"""

from prom_faust.sink.replay.candidate import Candidate, Result, Verdict
from prom_faust.sink.replay.service import Source, replay

__all__ = ["Candidate", "Result", "Source", "Verdict", "replay"]
