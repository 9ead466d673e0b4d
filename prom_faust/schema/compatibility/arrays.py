"""Elements of arrays, by position, and how many there are."""

from collections.abc import Callable, Iterator

from prom_faust.schema.compatibility.document import Node
from prom_faust.schema.compatibility.incompatibility import ANY_ELEMENT, Incompatibility, under
from prom_faust.schema.compatibility.strings import check_size
from prom_faust.schema.compatibility.writer import Alternative, alternatives

__all__ = ["check_arrays"]

Contained = Callable[[frozenset[Node], Node], list[Incompatibility]]


def check_arrays(writer: Alternative, reader: Node, contained: Contained) -> Iterator[Incompatibility]:
    """Every array of the writer that the reader may refuse.

    Positions up to the longest ``prefixItems`` are compared one by one, all later ones at once.
    """
    length = max(len(node.known.get("prefixItems", ())) for node in (*writer.nodes, reader))
    ends = [index for index in range(length + 1) if not alternatives(_at_index(writer, index))]
    most = min([*ends, *writer.operands("maxItems")], default=None)
    yield from check_size(writer, reader, "Items", most=most)
    for index in range(length + 1):
        wanted = _element(reader, index)
        if wanted is not None and (most is None or index < most):
            step = index if index < length else ANY_ELEMENT
            yield from under(step, contained(_at_index(writer, index), wanted))
    is_unique = True in writer.operands("uniqueItems") or (most is not None and most <= 1)
    if reader.known.get("uniqueItems") and not is_unique:
        yield Incompatibility(
            "", "unique-added", "The reader wants unique items, and the writer may send the same item twice."
        )


def _at_index(writer: Alternative, index: int) -> frozenset[Node]:
    return frozenset(node for one in writer.nodes if (node := _element(one, index)) is not None)


def _element(node: Node, index: int) -> Node | None:
    """What a node says of the element at a position."""
    if index < len(node.known.get("prefixItems", ())):
        return node.child("prefixItems", str(index))
    return node.child("items") if "items" in node.known else None
