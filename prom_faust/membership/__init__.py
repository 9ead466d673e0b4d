"""Membership: how a worker is in its consumer group, and how it ends when it cannot be."""
