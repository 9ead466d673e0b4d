"""The sink as a Faust agent: ``app.agents["sink.<collection>"]``."""

from typing import Any

import faust

from prom_faust.lane.agent import BatchAgent, Deliveries
from prom_faust.sink.service import Projector

__all__ = ["SinkAgent"]


class SinkAgent(BatchAgent):
    """Projects batches into a collection.

    Args:
        projector: does the work.
        app: the Faust app.
        concurrency: how many batches, of different partitions, are in flight at once.
    """

    def __init__(self, projector: Projector, *, app: faust.App, concurrency: int, **kwargs: Any) -> None:
        self.projector = projector
        collection = projector.options.collection
        super().__init__(
            self._project,
            app=app,
            name=f"sink.{collection}",
            concurrency=concurrency,
            help=f"Projects {projector.options.topic} into the collection {collection}.",
            **kwargs,
        )

    async def _project(self, batches: Deliveries) -> None:
        async for batch in batches:
            await batches.cancellable(self.projector.project(batch))
