"""The way out: every send of the app, by whatever path, passes the gate."""
