"""The sink as it is meant to run: every record is checked against its topic's schema."""

from benchmarks.apps.projection import projecting_app

app = projecting_app(checked=True)
