"""The sink: records -> write operations (pure) -> MongoDB -> outcome (pure)."""
