"""Kinds of payload types: each knows the schema of what it emits and of what it accepts, and the way to bytes."""
