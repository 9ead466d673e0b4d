"""Key -> the collection that its document is in, where a function of the user's chooses it. Pure.

All records of a key go to one collection, so that there is one order of them, as with a single collection.
"""

import re
from collections.abc import Callable
from typing import Any

from prom_faust.exceptions import DocumentError
from prom_faust.sink.key import Key, key_value

__all__ = ["CollectionOf", "Home", "home_of"]

CollectionOf = Callable[[Any], str | None]
"""A function of a key as it stands in ``_key``: the name of its collection; None for the projection's own."""
Home = Callable[[Key], str]

MAX_NAME_BYTES = 190
"""MongoDB allows 255 bytes for ``database.collection``, and a database's name takes at most 63."""
FORBIDDEN = re.compile("[$\0\ud800-\udfff]")
OURS = ("_prom_", "system.")
"""How the names of collections begin that are ours, or MongoDB's own."""


def home_of(collection: str, collection_of: CollectionOf | None) -> Home:
    """The function from key to collection name.

    It raises DocumentError where the user's function raises, or gives what cannot be a collection's name.

    Args:
        collection: the projection's own.
        collection_of: the user's function; without one every key is at home in the projection's own.
    """
    if collection_of is None:
        return lambda _: collection

    def home(key: Key) -> str:
        try:
            name = collection_of(key_value(key))
        except Exception as error:
            raise DocumentError(f"collection_of({key!r:.80}): {type(error).__name__}: {error}") from error
        if name is None:
            return collection
        if fault := _fault(name):
            raise DocumentError(f"collection_of({key!r:.80}) gives {name!r:.80}, {fault}")
        return name

    return home


def _fault(name: Any) -> str | None:
    if not isinstance(name, str):
        return "which is no text"
    size = len(name.encode(errors="surrogatepass"))
    faults = (
        ("which is empty", not name),
        ("and no name begins or ends with a dot, or has two in a row", ".." in f".{name}."),
        ("and no name has $, a null character or a lone surrogate", FORBIDDEN.search(name) is not None),
        (f"and names that begin with {' or '.join(OURS)} are taken", name.startswith(OURS)),
        (f"which takes {size} bytes, more than {MAX_NAME_BYTES}", size > MAX_NAME_BYTES),
    )
    return next((text for text, holds in faults if holds), None)
