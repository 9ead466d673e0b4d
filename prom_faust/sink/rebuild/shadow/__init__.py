"""Build a collection anew beside the one in use, and let it take that one's place.

``swap`` and ``fingerprint`` decide and are pure; ``letters`` keeps the dead letters; ``kafka`` reads and projects;
``mongo`` has the collections; ``service`` puts the steps together.
"""

from prom_faust.sink.rebuild.shadow.report import Swapped
from prom_faust.sink.rebuild.shadow.service import rebuild_in_shadow

__all__ = ["Swapped", "rebuild_in_shadow"]
