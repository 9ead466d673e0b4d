"""``install``: the one place that wires the plugin into a Faust app."""

from typing import Any, cast

import faust
from faust.app.base import BootStrategy

from prom_faust.app import Prom
from prom_faust.boot import Preflight, PreflightFirst
from prom_faust.cli.faust import register_commands
from prom_faust.clients import Clients
from prom_faust.dlq.faust import Burial
from prom_faust.exceptions import ConfigurationError
from prom_faust.logs import json_logging
from prom_faust.ops.app import install_ops
from prom_faust.publish.faust import install_topics
from prom_faust.publish.gate import Gate
from prom_faust.publish.kafka import install_transport
from prom_faust.publish.rules import Rules
from prom_faust.schema.registry import SchemaRegistry
from prom_faust.settings import load_settings

__all__ = ["install"]


def install(
    app: faust.App,
    *,
    registry: SchemaRegistry | None = None,
    mongo_url: str | None = None,
    database: Any = None,
    schema: bool = True,
    routing: bool = True,
    **settings: Any,
) -> Prom:
    """Wire the plugin into a Faust app.

    Args:
        app: the app.
        registry: what the topics may carry.
        mongo_url: MongoDB's URL; its path names the database, ``prom`` by default.
        database: a database of pymongo's async API or of motor, instead of ``mongo_url``.
        schema: whether the registry's schemas are enforced.
        routing: whether declared, repartition and changelog topics are routed by jump hash, unless they say
            otherwise; if not, by the app's own partitioner.
        **settings: see :class:`~prom_faust.settings.Settings`.

    Returns:
        What topics, projections and batch agents are declared on.

    Raises:
        ConfigurationError: a setting is unknown or wrong, or the app has the plugin already.
    """
    if isinstance(app.boot_strategy, PreflightFirst):
        raise ConfigurationError(f"prom_faust is installed in app {app.conf.id} already")
    loaded = load_settings(mongo_url=mongo_url, **settings)
    clients = Clients(app)
    registry = registry if schema and registry is not None else SchemaRegistry()
    rules = Rules("jump" if routing else None)
    gate = Gate(registry, rules)
    burial = Burial(app, clients, loaded)
    prom = Prom(app, loaded, clients, registry, rules, gate, burial, _database=database)
    preflight = Preflight(
        clients, loaded, prom.specs, lambda: list(prom.projections.values()), prom.expectations, burial
    )
    if loaded.ops:
        prom.ops = install_ops(prom)
    if loaded.log_format == "json":
        _log_json(app)
    app.boot_strategy = PreflightFirst(cast(BootStrategy, app.boot_strategy), preflight)
    install_transport(app, gate)
    install_topics(app, rendezvous=loaded.assignor != "faust")
    register_commands(prom)
    return prom


def _log_json(app: faust.App) -> None:
    """Let the worker log JSON: Faust reads its settings when they are first asked for, and that may have been."""

    def configure(_app: Any, conf: Any, **_: Any) -> None:
        # Faust warns of a setting that is changed after it was read: it is read where Faust keeps it.
        if vars(conf).get(type(conf).logging_config.storage_name):
            raise ConfigurationError(
                'log_format="json" and logging_config= both say how log lines look: leave one out, and use '
                "prom_faust.logs.JSON_FORMATTER in a configuration of your own"
            )
        conf.logging_config = json_logging()

    if app.configured:
        configure(app, app.conf)
    else:
        cast(Any, app.on_configured).connect(configure)
