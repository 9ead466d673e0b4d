"""Start a projection over: remove what it stored, so that the next start reads from the beginning."""

from prom_faust.sink.rebuild.service import Rebuilt, rebuild

__all__ = ["Rebuilt", "rebuild"]
