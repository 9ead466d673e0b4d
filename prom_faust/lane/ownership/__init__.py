"""Owning: what Kafka assigns begins where it stopped, and what it takes back is let go of in order."""
