"""The indexes of a collection: created where they are missing, compared where they exist."""

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo.errors import PyMongoError

from prom_faust.exceptions import IndexConflictError, UnreachableError
from prom_faust.sink.mongo.server import Server
from prom_faust.sink.options import ChangelogOptions, Index

__all__ = ["KEY_INDEX", "MARKER_INDEX", "ensure_indexes"]

KEY_INDEX = Index({"_key": 1}, unique=True)
HISTORY_INDEX = Index({"_key": 1})
"""Of an append-only projection: a key has many documents."""
MARKER_INDEX = Index({"_deleted_at": 1})


async def ensure_indexes(server: Server, documents: Any, options: ChangelogOptions) -> None:
    """Create the indexes that a projection's collection lacks, and compare those that exist.

    Args:
        server: the database.
        documents: the collection.
        options: the projection's.

    Raises:
        IndexConflictError: one exists with the same name or the same key, and differs.
        UnreachableError: MongoDB does not answer.
    """
    own: Sequence[Index] = [HISTORY_INDEX] if options.appends else [KEY_INDEX, MARKER_INDEX]
    existing = await server.call(documents.index_information)
    for index in [*own, *map(Index.of, options.indexes)]:
        sparse = index is MARKER_INDEX or (index.unique and index is not KEY_INDEX)
        if not _exists(documents.name, index, existing, sparse=sparse):
            await _create(server, documents, index, sparse=sparse)


def _exists(collection: str, index: Index, existing: Mapping[str, Any], *, sparse: bool) -> bool:
    keys = [(field, kind) for field, kind in index.fields.items()]
    for name, info in existing.items():
        found = [(field, _direction(kind)) for field, kind in info["key"]]
        if found != keys and name != index.index_name:
            continue
        differences = [
            text
            for text, differs in (
                (f"its name is {name}", name != index.index_name),
                (f"its key is {dict(found)}", found != keys),
                (f"unique is {bool(info.get('unique'))}", bool(info.get("unique")) != index.unique),
                (f"sparse is {bool(info.get('sparse'))}", bool(info.get("sparse")) != sparse),
                ("it is partial", "partialFilterExpression" in info),
                ("it expires documents", "expireAfterSeconds" in info),
            )
            if differs
        ]
        if differences:
            raise IndexConflictError(
                f"collection {collection}: index {name} differs from "
                f"{index.index_name} {dict(index.fields)} (unique {index.unique}, sparse {sparse}): "
                f'{", ".join(differences)}. Drop it with db.{collection}.dropIndex("{name}"), '
                "or change indexes="
            )
        return True
    return False


async def _create(server: Server, documents: Any, index: Index, *, sparse: bool) -> None:
    options: dict[str, Any] = {"name": index.index_name}
    if index.unique:
        options["unique"] = True
    if sparse:
        options["sparse"] = True
    try:
        await server.call(documents.create_index, list(index.fields.items()), **options)
    except UnreachableError:
        raise
    except PyMongoError as error:
        raise IndexConflictError(
            f"collection {documents.name}: index {index.index_name} cannot be created: {error}"
        ) from error


def _direction(kind: Any) -> int | str:
    return kind if isinstance(kind, str) else int(kind)
