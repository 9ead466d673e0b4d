"""Which partition a key lives in: the same in every process, and for most keys the same after the topic has grown."""
