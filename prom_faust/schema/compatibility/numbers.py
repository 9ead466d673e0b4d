"""Bounds and divisors of numbers."""

import math
from collections.abc import Iterator
from fractions import Fraction

from prom_faust.schema.compatibility.document import Node
from prom_faust.schema.compatibility.incompatibility import Incompatibility
from prom_faust.schema.compatibility.writer import Alternative

__all__ = ["check_numbers"]


def check_numbers(writer: Alternative, reader: Node) -> Iterator[Incompatibility]:
    """Every number of the writer that the reader's bounds or divisor may refuse.

    An integer has a least and a greatest value under any bound: more than 0 is at least 1.
    """
    whole = "fraction" not in writer.types
    least = _greatest_lower_bound(writer, whole=whole)
    # Upper bounds are lower bounds of the negated numbers.
    most = _greatest_lower_bound(writer, whole=whole, sign=-1)
    for keyword, sign, bound in (
        ("minimum", 1, least),
        ("exclusiveMinimum", 1, least),
        ("maximum", -1, most),
        ("exclusiveMaximum", -1, most),
    ):
        wanted = reader.known.get(keyword)
        if wanted is None:
            continue
        exclusive = keyword.startswith("exclusive")
        if bound is None or bound < (_exact(wanted) * sign, exclusive):
            yield Incompatibility(
                "",
                "bounds-tightened",
                f"The reader's {keyword} is {wanted}, and the writer may send numbers beyond it: widen the bound.",
            )
    yield from _check_divisor(writer, reader, whole=whole)


def _greatest_lower_bound(writer: Alternative, *, whole: bool, sign: int = 1) -> tuple[Fraction, bool] | None:
    """The lower bound that says most, and whether it is exclusive."""
    inclusive, exclusive = ("minimum", "exclusiveMinimum") if sign == 1 else ("maximum", "exclusiveMaximum")
    bounds = [(_exact(value) * sign, False) for value in writer.operands(inclusive)]
    bounds += [(_exact(value) * sign, True) for value in writer.operands(exclusive)]
    if not bounds:
        return None
    bound, excluded = max(bounds)
    if not whole:
        return bound, excluded
    return Fraction(math.floor(bound) + 1 if excluded else math.ceil(bound)), False


def _check_divisor(writer: Alternative, reader: Node, *, whole: bool) -> Iterator[Incompatibility]:
    wanted = reader.known.get("multipleOf")
    if wanted is None:
        return
    divisors = [_decimal(value) for value in writer.operands("multipleOf")]
    if whole:
        divisors.append(Fraction(1))
    if not any((divisor / _decimal(wanted)).denominator == 1 for divisor in divisors):
        yield Incompatibility(
            "",
            "multiple-narrowed",
            f"The reader takes multiples of {wanted} only, and the writer may send other numbers.",
        )


def _exact(value: float) -> Fraction:
    """The number as it is compared: a float is the binary fraction that it holds."""
    return Fraction(value)


def _decimal(value: float) -> Fraction:
    """The number as it is divided: validators read 0.1 as one tenth, as it is written."""
    return Fraction(repr(value))
