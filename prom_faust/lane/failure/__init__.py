"""Failure: what becomes of records over which an agent raises."""
