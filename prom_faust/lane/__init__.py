"""The lane: batches from Kafka to an agent, at least once, in order within a partition."""
