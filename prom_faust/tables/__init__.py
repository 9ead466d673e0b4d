"""Tables that stay warm: what a worker has in memory counts when partitions come to it."""
