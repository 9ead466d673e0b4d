"""``/ops/members``: the workers of the app. Pure."""

from collections.abc import Iterable
from typing import Any

from prom_faust.ops.board import Seen

__all__ = ["members_json"]


def members_json(workers: Iterable[Seen]) -> list[dict[str, Any]]:
    """The workers, by name, and what each of them says of itself."""
    return [_member(seen) for seen in workers]


def _member(seen: Seen) -> dict[str, Any]:
    status = seen.status
    return {
        "name": status.worker,
        "url": status.url,
        "host": status.host,
        "pid": status.pid,
        "process": status.process,
        "weight": status.weight,
        "started": status.started / 1000,
        "seen": seen.at,
        "silent_since": seen.at if seen.silent else None,
        "state": _state(seen),
        "not_ready": list(status.not_ready),
        "versions": status.versions,
        "groups": [
            {
                "group": group.group,
                "what": group.what,
                "name": group.name,
                "generation": group.generation,
                "protocol": group.protocol,
                "active": sum(map(len, group.active.values())),
                "standby": sum(map(len, group.standby.values())),
                "rebalancing": group.rebalancing,
                "recovering": group.recovering,
            }
            for group in status.groups
        ],
    }


def _state(seen: Seen) -> str:
    if seen.silent:
        return "silent"
    if seen.status.stopping:
        return "stopping"
    return "not ready" if seen.status.not_ready else "ready"
