"""Sending: what the handler of an event sends, on its way to a producer."""
