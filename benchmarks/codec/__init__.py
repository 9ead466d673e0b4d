"""What it costs to check: microseconds per message of our codec, of Faust's own and of a peer's."""
