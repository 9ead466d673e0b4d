"""Reading: what is polled next, as far as the buffers reach."""
