"""For how long a worker may take its partitions for its own."""
