"""Start a projection over: from nothing while no worker runs, or in a shadow while all goes on."""

from prom_faust.sink.rebuild.service import Rebuilt, rebuild
from prom_faust.sink.rebuild.shadow import Swapped, rebuild_in_shadow

__all__ = ["Rebuilt", "Swapped", "rebuild", "rebuild_in_shadow"]
