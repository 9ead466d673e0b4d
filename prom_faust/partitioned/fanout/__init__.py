"""Several members in one process, under a ``PartitionCoordinator``: one lane reads for all of them."""
