"""What the parity tests of the event hub share."""

import pytest


@pytest.fixture(scope="module")
def worker(hub):
    with hub.quiet_worker() as worker:
        yield worker
