"""Where partitions go: our homes beside Faust's and aiokafka's assignors, on the same steps of a group's life."""
