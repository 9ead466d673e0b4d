"""Records one by one: a share is worked on record by record, and what is done of it may be done out of order."""
