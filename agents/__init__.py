"""The event hub: prom_faust on real input, and the code to read first.

    collector ──▶ heartbeat.received ──▶ tracker ──▶ process.state ──▶ projection ──▶ MongoDB `processes`
                                          │    ▲
                                          └────┘ process.silent

Read `app.py` (the app and its topics), `collector.py`, `tracker.py` and `projection.py`, in the order in
which a record meets them. `faust -A agents worker` runs it; `python -m agents.demo` starts servers as well
and shows the collection live.
"""

from agents.app import app

__all__ = ["app"]
