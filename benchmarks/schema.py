"""What the topics may carry: the model that the checking sink registers for a workload's topic."""

from typing import Literal

from pydantic import BaseModel, Field

from benchmarks.workload import Workload, topic_of
from prom_faust.schema.registry import SchemaRegistry

__all__ = ["Process", "registry_of"]


class Process(BaseModel):
    """A process of some machine."""

    id: str
    host: str
    name: str
    pid: int = Field(ge=0)
    state: Literal["running", "sleeping", "stopped", "zombie"]
    cpu: float
    memory: int = Field(ge=0)
    threads: int
    started: int
    command: str
    environment: dict[str, str] = {}


def registry_of(workload: Workload) -> SchemaRegistry:
    """The registry with the model as version 1 of the workload's topic."""
    registry = SchemaRegistry()
    registry.register(topic_of(workload), Process, version=1)
    return registry
