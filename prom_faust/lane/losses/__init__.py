"""What of its history a log can have lost: found by looking again and again, and kept with the positions."""
