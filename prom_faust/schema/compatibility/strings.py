"""Lengths, patterns and formats of strings."""

from collections.abc import Iterator

from prom_faust.schema.compatibility.document import Node
from prom_faust.schema.compatibility.incompatibility import Incompatibility, undecided
from prom_faust.schema.compatibility.keywords import NUMBERS, is_standard_format
from prom_faust.schema.compatibility.writer import Alternative

__all__ = ["check_format", "check_size", "check_strings"]


def check_strings(writer: Alternative, reader: Node) -> Iterator[Incompatibility]:
    """Every string of the writer that the reader's lengths or pattern may refuse."""
    yield from check_size(writer, reader, "Length")
    pattern = reader.known.get("pattern")
    if pattern is not None and pattern not in writer.operands("pattern"):
        yield undecided("pattern", f"the writer's strings are not known to match {pattern!r}")


def check_size(
    writer: Alternative, reader: Node, what: str, *, least: int = 0, most: int | None = None
) -> Iterator[Incompatibility]:
    """Compare ``min...`` and ``max...`` of lengths, items or properties.

    Args:
        writer: what is sent.
        reader: who reads it.
        what: the rest of the keywords' names.
        least: a minimum that the writer keeps anyway.
        most: a maximum that it keeps anyway.
    """
    wanted = reader.known.get(f"min{what}", 0)
    if wanted > max([least, *writer.operands(f"min{what}")]):
        yield Incompatibility(
            "",
            "bounds-tightened",
            f"The reader's min{what} is {wanted}, and the writer may send less: lower it.",
        )
    wanted = reader.known.get(f"max{what}")
    limits = [*writer.operands(f"max{what}"), *([] if most is None else [most])]
    if wanted is not None and (not limits or wanted < min(limits)):
        yield Incompatibility(
            "",
            "bounds-tightened",
            f"The reader's max{what} is {wanted}, and the writer may send more: raise it.",
        )


def check_format(writer: Alternative, reader: Node) -> Iterator[Incompatibility]:
    """A format asserts: what parses a date-time refuses other text, so the writer must promise the same format.

    The specification's formats are about strings; others (``int32``, ``time-delta``) may be about numbers too.
    """
    wanted = reader.known.get("format")
    if wanted is None or wanted in writer.operands("format"):
        return
    concerned = frozenset({"string"}) if is_standard_format(wanted) else NUMBERS | {"string"}
    if writer.types & concerned:
        yield Incompatibility(
            "", "format-added", f"The reader wants the format {wanted}, which the writer does not promise."
        )
