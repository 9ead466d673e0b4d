"""How long a worker processes nothing when its group rebalances: prom_faust beside plain Faust."""

__all__ = ["PARTITIONS"]

PARTITIONS = 64
