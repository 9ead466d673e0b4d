"""A clock that a test sets."""


class Clock:
    """Seconds, as ``now`` says."""

    def __init__(self, now=0.0):
        self.now = now

    def __call__(self):
        return self.now
