"""The sink on a topic without a schema: what a value holds beside its key is stored as it is."""

from benchmarks.apps.projection import projecting_app

app = projecting_app(checked=False)
