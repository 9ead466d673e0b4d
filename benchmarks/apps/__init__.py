"""The measured Faust workers, each a program as its author would write it; the stopwatch is its monitor."""
