"""The measured workers, each a program as its author would write it; a Faust worker's monitor is its stopwatch."""
