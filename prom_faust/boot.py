"""The checks before a worker starts: settings, web port, servers reachable, topics right, projections ready.

They run before anything of Faust's own starts, so that what is wrong is one line and an exit code, and not a
worker that stays up doing nothing.
"""

import asyncio
import gc
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, cast

import faust
from faust.app.base import BootStrategy
from faust.exceptions import ImproperlyConfigured
from faust.types.settings import Settings as FaustSettings
from faust.types.settings.params import Param
from faust.web.base import Web
from mode import Service, ServiceT

from prom_faust.clients import Clients, check_brokers
from prom_faust.dlq.faust import Burial
from prom_faust.exceptions import ConfigurationError, PromFaustError, WebPortError
from prom_faust.kafka import ensure_topics
from prom_faust.routing.kafka import check_routing
from prom_faust.routing.sample import Expectation
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
        expectations: gives how the keys of the topics should lie.
        burial: of the unreadable records of streams; closed when the worker ends.

    Attributes:
        serves: whether this worker is going to start Faust's web server.
    """

    def __init__(
        self,
        clients: Clients,
        settings: Settings,
        topics: Callable[[], Iterable[TopicSpec]],
        projections: Callable[[], Iterable[Projection]],
        expectations: Callable[[], Iterable[Expectation]],
        burial: Burial,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.clients = clients
        self.settings = settings
        self.serves = False
        self._topics = topics
        self._projections = projections
        self._expectations = expectations
        self._burial = burial

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
            logger.critical("%s: %s", type(error).__name__, " ".join(str(error).split()))
            raise SystemExit(1) from error
        # What is alive now lives as long as the worker; a full collection need not walk it (80 ms each otherwise).
        gc.freeze()

    async def on_stop(self) -> None:
        """The streams have ended by now: the first service is the last to stop."""
        await self._burial.close()

    async def check(self) -> None:
        """Check web port, servers, topics and projections.

        Raises:
            WebPortError: this worker's web server could not listen.
            ConfigurationError: something is declared or set up wrong.
            UnreachableError: a server did not answer within ``startup_timeout``.
        """
        if self.serves:
            await check_web_address(self.clients.app.conf)
        for projection in self._projections():
            _ = projection.fence_delay
        await ensure_topics(self.clients, list(self._topics()), self.settings)
        await check_routing(self.clients, list(self._expectations()), timeout=self.settings.startup_timeout)
        for projection in self._projections():
            await projection.prepare(topics=False)


class First(BootStrategy):
    """The app's own boot strategy, with one service before all others.

    Args:
        inner: the strategy that the app had.
        service: the service.
    """

    def __init__(self, inner: BootStrategy, service: ServiceT) -> None:
        super().__init__(inner.app)
        self._inner = inner
        self._service = service
        self.enable_web = inner.enable_web

    def with_web(self, serves: bool) -> None:
        """Told before the start whether this worker is going to start Faust's web server."""

    def server(self) -> Iterable[ServiceT]:
        """The worker's services."""
        services = list(self._inner.server())
        # `--without-web`, a strategy's own choice, another framework's server: what is started says it.
        self.with_web(any(isinstance(service, Web) for service in services))
        return chain([self._service], services)

    def client_only(self) -> Iterable[ServiceT]:
        """A client's services; ours is not among them."""
        return self._inner.client_only()

    def producer_only(self) -> Iterable[ServiceT]:
        """A producer's services; ours is not among them."""
        return self._inner.producer_only()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class PreflightFirst(First):
    """The app's own boot strategy, with the checks before it; a client may run where topics are not managed.

    With it, what is wrong in the app's settings or in a module of its autodiscovery is one of our errors, too.

    Args:
        inner: the strategy that the app had.
        preflight: the checks.
    """

    def __init__(self, inner: BootStrategy, preflight: Preflight) -> None:
        super().__init__(inner, preflight)
        self._preflight = preflight
        _check_settings(cast(faust.App, inner.app))
        _raise_from_autodiscovery(cast(faust.App, inner.app))

    def with_web(self, serves: bool) -> None:
        """Then the checks see to its port."""
        self._preflight.serves = serves


async def check_web_address(conf: FaustSettings) -> None:
    """Listen where Faust's web server will, as it will, and stop at once.

    Raises:
        WebPortError: it cannot be done.
    """
    if conf.web_transport.scheme != "tcp":
        return
    try:
        server = await asyncio.get_running_loop().create_server(
            asyncio.Protocol, conf.web_bind, conf.web_port
        )
    except OSError as error:
        # asyncio's own text tells the address again.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or error
        raise WebPortError(
            f"the web server cannot listen on {conf.web_bind}:{conf.web_port}: {reason}. Another worker may do so: "
            "choose another port with --web-port or web_port=, another address with --web-bind or web_bind=, "
            "or no web server with --without-web"
        ) from error
    server.close()
    await server.wait_closed()


def _check_settings(app: faust.App) -> None:
    """Turn what Faust says of a wrong setting of its own, in a traceback, into our error.

    Faust reads an app's settings when they are first asked for, which may be before or after `install`.
    """
    if app.configured:
        check_brokers(app.conf)
        return
    load = app._load_settings  # noqa: SLF001 - it has no signal for settings that cannot be read

    def checked(*, silent: bool = False) -> FaustSettings:
        try:
            conf = load(silent=silent)
        except (TypeError, ValueError, ImproperlyConfigured) as error:
            name = _setting_of(error)
            raise ConfigurationError(
                f"the Faust app's {f'setting {name}=' if name else 'settings'} cannot be used: {error}"
            ) from error
        check_brokers(conf)
        return conf

    cast(Any, app)._load_settings = checked  # noqa: SLF001


def _setting_of(error: Exception) -> str | None:
    """The setting that Faust was about to set when it raised; its message does not tell."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if isinstance(param := frame.f_locals.get("self"), Param):
            return param.name
    return None


def _raise_from_autodiscovery(app: faust.App) -> None:
    """Let what fails end the start: Faust logs that a module failed, and starts without what is in it."""
    log = app._on_autodiscovery_error  # noqa: SLF001 - Faust gives no other choice

    def on_error(name: str) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, ConfigurationError):
            raise error
        log(name)  # with the traceback
        raise ConfigurationError(
            f"module {name}, which autodiscover= has found, cannot be imported: {error!r}. Without it agents or "
            "projections would be missing"
        ) from error

    cast(Any, app)._on_autodiscovery_error = on_error  # noqa: SLF001
