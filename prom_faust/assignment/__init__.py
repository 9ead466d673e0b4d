"""Assignment: which member of a group owns which partition, as a function of names, weights and partitions."""
