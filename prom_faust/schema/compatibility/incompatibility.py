"""What stands between a writer and a reader, and where."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["ANY_ELEMENT", "Incompatibility", "escape", "show", "undecided", "under", "unique"]

ANY_ELEMENT = "*"
"""The step of a path that stands for any array element or any further property."""

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Incompatibility:
    """One reason why a value that the writer's schema admits might not be admitted by the reader's.

    Attributes:
        path: a JSON pointer (RFC 6901) into the value, ``""`` for the value itself; the step ``*`` stands for any
            array element or any further property.
        rule: a short stable name, for tools: ``required-added``, ``type-changed``, ``undecided``, ...
        reason: one sentence for people, with what to do where that is plain.
    """

    path: str
    rule: str
    reason: str


def undecided(keyword: str, why: str = "it is not the same on both sides") -> Incompatibility:
    """The answer where containment cannot be told."""
    return Incompatibility(
        "", "undecided", f"The reader's {keyword} cannot be compared with the writer: {why}."
    )


def escape(step: str) -> str:
    """A property name as one step of a JSON pointer."""
    return step.replace("~", "~0").replace("/", "~1")


def under(step: str | int, findings: Iterable[Incompatibility]) -> list[Incompatibility]:
    """Findings about a member, as findings about the value that has it."""
    return [replace(finding, path=f"/{escape(str(step))}{finding.path}") for finding in findings]


def unique(findings: Iterable[Incompatibility]) -> list[Incompatibility]:
    """Each finding once, in the order of the first."""
    return list(dict.fromkeys(findings))


def show(values: Sequence[Any]) -> str:
    """Some values, as JSON, for a sentence."""
    shown = ", ".join(json.dumps(value, ensure_ascii=False, default=str) for value in values[:_SHOWN])
    more = len(values) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
