"""Event agents: one record at a time, on a lane; what they send may be done together with it."""
