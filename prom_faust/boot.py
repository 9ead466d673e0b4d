"""The checks before a worker starts: servers reachable, topics there and right, projections ready.

They run before anything of Faust's own starts, so that what is wrong is one line and an exit code, and not a
worker that stays up doing nothing.
"""

import gc
import logging
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from faust.app.base import BootStrategy
from mode import Service, ServiceT

from prom_faust.clients import Clients
from prom_faust.exceptions import PromFaustError
from prom_faust.kafka import ensure_topics
from prom_faust.settings import Settings
from prom_faust.sink.faust import Projection
from prom_faust.topics import TopicSpec

__all__ = ["Preflight", "PreflightFirst"]

logger = logging.getLogger(__name__)


class Preflight(Service):
    """Runs the checks, once, as the first service of the worker.

    Args:
        clients: opens Kafka clients.
        settings: times and limits.
        topics: gives the declared topics.
        projections: gives the projections.
    """

    def __init__(
        self,
        clients: Clients,
        settings: Settings,
        topics: Callable[[], Iterable[TopicSpec]],
        projections: Callable[[], Iterable[Projection]],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.clients = clients
        self.settings = settings
        self._topics = topics
        self._projections = projections

    async def on_start(self) -> None:
        """Check everything; a worker that cannot work ends here."""
        for name in ("aiokafka", "pymongo"):
            driver = logging.getLogger(name)
            if driver.level == logging.NOTSET:
                # Faust's spinner leaves the root logger at DEBUG, and pymongo then builds a record per command.
                driver.setLevel(logging.INFO)
        try:
            await self.check()
        except PromFaustError as error:
            logger.critical("%s: %s", type(error).__name__, error)
            raise SystemExit(1) from error
        # What is alive now lives as long as the worker; a full collection need not walk it (80 ms each otherwise).
        gc.freeze()

    async def check(self) -> None:
        """Check servers, topics and projections.

        Raises:
            ConfigurationError: something is declared or set up wrong.
            UnreachableError: a server did not answer within ``startup_timeout``.
        """
        for projection in self._projections():
            _ = projection.fence_delay
        await ensure_topics(self.clients, list(self._topics()), self.settings)
        for projection in self._projections():
            await projection.prepare()


class PreflightFirst(BootStrategy):
    """The app's own boot strategy, with the checks before it.

    Args:
        inner: the strategy that the app had.
        preflight: the checks.
    """

    def __init__(self, inner: BootStrategy, preflight: Preflight) -> None:
        super().__init__(inner.app)
        self._inner = inner
        self._preflight = preflight

    def server(self) -> Iterable[ServiceT]:
        """The worker's services."""
        return chain([self._preflight], self._inner.server())

    def client_only(self) -> Iterable[ServiceT]:
        """A client's services; it is not checked, for it may run where the topics are not managed."""
        return self._inner.client_only()

    def producer_only(self) -> Iterable[ServiceT]:
        """A producer's services."""
        return self._inner.producer_only()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
