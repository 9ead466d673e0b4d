"""The end of a worker that must not go on."""

import logging

from mode import Service

from prom_faust.exceptions import PromFaustError

__all__ = ["end_worker"]

logger = logging.getLogger(__name__)


def end_worker(service: Service, error: PromFaustError) -> None:
    """End the worker that a service belongs to, with one line and exit code 1.

    ``Service.crash`` would add a traceback of ours that helps nobody. Call it in the service's own loop.
    """
    logger.critical("%s: %s", type(error).__name__, " ".join(str(error).split()))
    root = service.beacon.root
    worker = root.data if root is not None and isinstance(root.data, Service) else service
    worker._crash(error)  # noqa: SLF001 - what Service.crash does for every parent, without its log
