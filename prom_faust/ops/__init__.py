"""What an operator sees: groups and their lag, members, sinks, rebalances; as JSON, as a page, as metrics."""
