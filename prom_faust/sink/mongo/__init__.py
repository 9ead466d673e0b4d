"""The sink's side of MongoDB: documents, positions, indexes, and the collections that there are."""
