"""The agent that gets events one by one, of as many keys at once as it has workers."""

from prom_faust.partitioned.agent import RecordAgent

__all__ = ["EventAgent"]


class EventAgent(RecordAgent):
    """A Faust agent whose function gets one event at a time; see :meth:`prom_faust.Prom.event_agent`."""
