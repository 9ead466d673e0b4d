"""``install_ops``: the one place that wires the pages and the status topic into an app."""

import time
from typing import Any, cast

import faust
from faust.app.base import BootStrategy

from prom_faust.app import Prom
from prom_faust.boot import First
from prom_faust.dlq.envelope import dlq_topic
from prom_faust.ops.clients import ClusterView
from prom_faust.ops.faust import Observer
from prom_faust.ops.http import Site, add_views
from prom_faust.ops.metrics import WorkerMetrics
from prom_faust.ops.pages import Pages
from prom_faust.ops.service import StatusService

__all__ = ["install_ops"]

LETTERS = dlq_topic("")
"""How the name of a dead-letter topic ends."""


def install_ops(prom: Prom) -> Pages:
    """Add the pages to the app's web server, and the status topic's reader and writer to its services.

    Call it before the checks at start are put in front of the app's services, so that they stay in front. The
    status topic, ``status_spec()``, must be there when the services start.

    Args:
        prom: the plugin; of its settings ``ops_token``, ``ops_path``, ``status_interval`` and
            ``progress_within`` are read.

    Returns:
        The pages; ``pages.metrics.registry`` takes metrics of the app's own.
    """
    app, settings = prom.app, prom.settings
    observer = Observer(prom, interval=settings.status_interval, progress_within=settings.progress_within)
    cluster = ClusterView(prom.clients, groups=observer.groups, letters=lambda: _letters(prom))
    status = StatusService(prom.clients, observer, cluster, interval=settings.status_interval)
    metrics = WorkerMetrics()
    metrics.registry.register(prom.histograms)
    pages = Pages(
        path=f"/{settings.ops_path.strip('/')}",
        cluster=cluster,
        status=status,
        metrics=metrics,
        coordinators=lambda: prom.coordinators,
        clock=time.time,
    )
    token = settings.ops_token.get_secret_value() if settings.ops_token is not None else None
    app.boot_strategy = WithStatus(cast(BootStrategy, app.boot_strategy), status)
    _serve(app, Site(pages, token))
    return pages


def _letters(prom: Prom) -> set[str]:
    projected = {dlq_topic(projection.options.topic) for projection in prom.projections.values()}
    return projected | {spec.name for spec in prom.specs() if spec.name.endswith(LETTERS)}


def _serve(app: faust.App, site: Site) -> None:
    """Add the views when the web server is made ready: to ask the app for it now would read its settings too soon."""
    init = app.on_webserver_init

    def on_webserver_init(server: Any) -> None:
        init(server)
        add_views(server, site)

    cast(Any, app).on_webserver_init = on_webserver_init


class WithStatus(First):
    """The app's own boot strategy, and the status topic's service before everything else.

    Before: a worker that is still joining its groups is one that others should see.

    Args:
        inner: the strategy that the app had.
        status: the service.
    """

    def __init__(self, inner: BootStrategy, status: StatusService) -> None:
        super().__init__(inner, status)
        self._status = status

    def with_web(self, serves: bool) -> None:
        """Who shows nothing needs to read nothing."""
        self._status.reads = serves
