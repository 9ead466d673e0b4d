"""Does the collection equal its topic? Read both, fold the topic, compare.

``fold`` and ``compare`` decide and are pure; ``spill`` keeps what does not fit into memory; ``kafka`` and ``mongo``
read; ``service`` puts them together.
"""

from prom_faust.exceptions import NotSettledError
from prom_faust.sink.verify.report import Difference, Kind, Report
from prom_faust.sink.verify.service import verify

__all__ = ["Difference", "Kind", "NotSettledError", "Report", "verify"]
