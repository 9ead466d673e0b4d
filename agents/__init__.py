"""The event hub: prom_faust on real input, and the code to read first.

    collector ──▶ heartbeat.received ──▶ tracker ──▶ process.state ──▶ projection ──▶ MongoDB `processes`
                              │           │    ▲
                              │           └────┘ process.silent
                              └────────▶ analyzer ──▶ process.finding

Read `models.py` (what the topics carry), `app.py` (the app and its topics), `collector.py`, `tracker.py` and
`projection.py`, in the order in which a record meets them; then `analyzer.py`, which has its
own processes for the scores (`pool.py`, `anomaly.py`) and tells what is news (`alarm.py`); then `refusals.py` (what
the schemas do not let pass) and `evolution.py` (how a schema grows). `faust -A agents worker` runs it;
`python -m agents.demo` starts servers as well and shows the collection live.
"""

from agents.app import app

__all__ = ["app"]
