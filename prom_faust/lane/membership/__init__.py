"""The lane as a member of its group: its name, its assignors, and why a broker or a leader may refuse it."""
