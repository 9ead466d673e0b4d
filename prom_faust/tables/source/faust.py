"""A Faust table as the source of a projection."""

from collections.abc import Mapping
from typing import Any

import faust
from faust.tables.sets import SetTable
from faust.tables.wrappers import WindowWrapper

from prom_faust.exceptions import ConfigurationError

__all__ = ["plain_table", "table_fields"]


def plain_table(table: faust.Table[Any, Any] | WindowWrapper) -> faust.Table[Any, Any]:
    """A table whose changelog holds the value of every key.

    Raises:
        ConfigurationError: it is windowed or a set, or its values are not JSON.
    """
    if isinstance(table, WindowWrapper) or table.window is not None:
        raise ConfigurationError(
            f"table {table.name} is windowed, and cannot be a collection: its changelog has a key for every window, "
            "which expires without a record. Write what you want to query into a table without a window, or a topic"
        )
    if isinstance(table, SetTable):
        raise ConfigurationError(
            f"table {table.name} is a set, and cannot be a collection: its changelog holds what was added and "
            "discarded, not the sets. Keep lists in a plain table instead"
        )
    if table.value_serializer != "json":
        raise ConfigurationError(
            f"table {table.name} has values in {table.value_serializer}: a projection reads JSON"
        )
    return table


def table_fields(value: Any) -> Mapping[str, Any]:
    """The fields of a table's value in its document."""
    return value if isinstance(value, dict) else {"value": value}
