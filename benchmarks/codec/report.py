"""The codecs' results: microseconds per message, and the targets beside Faust's own."""

from dataclasses import dataclass
from statistics import median

from rich.table import Table

from benchmarks.codec.path import Direction
from benchmarks.codec.session import STDLIB, Rows
from benchmarks.verdict import Verdict

__all__ = ["codec_tables", "codec_verdicts"]

TITLES: dict[Direction, str] = {
    "send": "send, value to bytes and headers",
    "message": "send, key and value to the producer's message",
    "receive": "receive, message to value",
}
ORJSON = "dict"
WITHOUT = f"{STDLIB}{ORJSON}"


@dataclass(frozen=True, slots=True)
class CodecTarget:
    """A path of ours beside Faust's dict of the same direction: at most so many times as long, in the same round."""

    direction: Direction
    name: str
    most: float
    beside: str = ORJSON


BESIDE_ORJSON = (
    CodecTarget("send", "our dict", 3.0),
    CodecTarget("send", "our bytes", 3.0),
    CodecTarget("send", "our model", 6.0),
    CodecTarget("send", "our record", 6.0),
    CodecTarget("message", "our dict", 3.0),
    CodecTarget("receive", "our dict", 3.0),
    CodecTarget("receive", "our model", 3.0),
    CodecTarget("receive", "our record", 3.0),
)
TARGETS = (
    *BESIDE_ORJSON,
    *(CodecTarget(target.direction, target.name, 1.0, WITHOUT) for target in BESIDE_ORJSON),
)


def codec_verdicts(rows: Rows) -> list[Verdict]:
    """Every target of which something was measured."""
    found: list[Verdict] = []
    for target in TARGETS:
        ratios = _ratios(rows, target.direction, target.name, target.beside)
        if ratios:
            beside = "orjson" if target.beside == ORJSON else "no orjson"
            title = f"{target.direction}: {target.name} / Faust, {beside}"
            found.append(Verdict(title, f"<= {target.most:g}", ratios, median(ratios) <= target.most))
    return found


def _ratios(rows: Rows, direction: Direction, name: str, beside: str) -> list[float]:
    ours, theirs = rows.get((direction, name)), rows.get((direction, beside))
    if ours is None or theirs is None:
        return []
    # Only turns of one round saw the same machine.
    return [own / other for own, other in zip(ours.micros, theirs.micros, strict=False)]


def codec_tables(rows: Rows) -> list[Table]:
    """One table per direction."""
    return [_table(direction, rows) for direction in TITLES if any(found == direction for found, _ in rows)]


def _table(direction: Direction, rows: Rows) -> Table:
    measured = {name: row for (found, name), row in rows.items() if found == direction}
    rounds = max(len(row.micros) for row in measured.values())
    table = Table(title=f"{TITLES[direction]}: microseconds, rounds: {rounds}", title_justify="left")
    table.add_column("path", no_wrap=True)
    for heading in ("median", "min..max", "/ orjson", "/ no orjson"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, row in measured.items():
        beside = [median(_ratios(rows, direction, name, other)) for other in (ORJSON, WITHOUT)]
        table.add_row(
            row.title,
            f"{median(row.micros):.2f}",
            f"{min(row.micros):.2f}..{max(row.micros):.2f}",
            *(f"{ratio:.2f}" for ratio in beside),
        )
    return table
