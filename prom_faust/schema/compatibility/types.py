"""Types of values, and the values that a reader lists."""

from collections.abc import Iterator, Mapping

from prom_faust.schema.compatibility.document import Node
from prom_faust.schema.compatibility.incompatibility import Incompatibility, show
from prom_faust.schema.compatibility.keywords import in_words, same_value, types_of
from prom_faust.schema.compatibility.writer import Alternative

__all__ = ["check_listed", "check_type", "wrong_type"]

_SMALL_TYPES: Mapping[str, list[bool | None]] = {"null": [None], "boolean": [False, True]}


def check_type(writer: Alternative, reader: Node) -> Iterator[Incompatibility]:
    """The types of the writer that the reader's ``type`` refuses."""
    admitted = types_of(reader.known.get("type"))
    if writer.types - admitted:
        yield wrong_type(writer, admitted)


def wrong_type(writer: Alternative, admitted: frozenset[str]) -> Incompatibility:
    """The finding where a writer's types are not all admitted: changed where none of its others is either."""
    rule = "type-narrowed" if writer.siblings & admitted else "type-changed"
    refused = in_words(writer.types - admitted)
    return Incompatibility(
        "", rule, f"The writer may send {refused}, and the reader takes {in_words(admitted)} only."
    )


def check_listed(writer: Alternative, reader: Node) -> Iterator[Incompatibility]:
    """``enum`` and ``const`` of a reader, where the writer lists no values."""
    sent = [value for kind in sorted(writer.types) for value in _SMALL_TYPES.get(kind, ())]
    is_finite = writer.types <= _SMALL_TYPES.keys()
    for keyword in ("enum", "const"):
        if keyword not in reader.known:
            continue
        listed = reader.known["enum"] if keyword == "enum" else [reader.known["const"]]
        if not is_finite or not all(any(same_value(value, one) for one in listed) for value in sent):
            reason = (
                f"The writer may send any {in_words(writer.types)}, and the reader takes {show(listed)} only."
            )
            yield Incompatibility("", "enum-narrowed", reason)
