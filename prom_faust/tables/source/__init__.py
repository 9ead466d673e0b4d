"""Tables that are projected into a collection."""
