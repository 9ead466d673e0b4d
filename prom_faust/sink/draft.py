"""Documents that are encoded only if they are written: which ones can wait, told from the record's bytes. Pure.

With few keys and many records most documents are needless: a later record of their key replaces them before anything
is written. Each record must be looked at all the same, for a bad one is dead-lettered whether it is needed or not.
But what makes the encoding of a document fail shows in its JSON; where nothing of that shows, encoding can wait until
the record is known to be its key's last.
"""

from collections.abc import Mapping
from inspect import getattr_static
from typing import Any

from pydantic import BaseModel

from prom_faust.sink.json import LONG, ZEROS

__all__ = ["DRAFT", "can_wait", "is_plain", "may_be_refused"]

DRAFT = b""
"""The body of a change whose document is not encoded yet."""

LARGEST_BYTES = 64 * 1024
"""Of key and value: what BSON makes of them, names of up to ``LONGEST_NAME`` included, is far below 16 MiB."""
LONGEST_NAME = 64
MOST_LEVELS = 90
"""Objects and arrays in a value: as many levels it nests at most, and MongoDB allows 100."""

METHODS = ("model_dump", "model_validate_json")
ANY: Mapping[str, Any] = {"type": "any"}
NO_SCHEMAS = frozenset({"config", "default", "expected", "fields", "metadata"})
"""Entries of a core schema that hold other things; the fields are looked at by themselves."""
PLAIN = frozenset(
    {
        *("model", "model-fields", "model-field", "definitions", "definition-ref", "default", "nullable"),
        *("any", "bool", "dict", "float", "int", "list", "literal", "none", "str", "union"),
    }
)
"""pydantic's core schemas whose values are JSON's own, as they were sent."""


def can_wait(model: type[BaseModel] | None, mapped: object) -> bool:
    """Whether no code of the user's comes between the value and its document.

    Args:
        model: of the values, or None for any JSON.
        mapped: the projection's map.
    """
    return not (isinstance(mapped, type) or callable(mapped)) and (model is None or is_plain(model))


def may_be_refused(value: bytes, key: bytes | None) -> bool:
    """Whether the document of a JSON object could be one that cannot be stored; False is certain.

    Args:
        value: the record's value, which is JSON.
        key: the record's key.
    """
    digits = value.translate(ZEROS)
    return (
        len(value) + len(key or b"") > LARGEST_BYTES
        or LONG in digits  # more than 64 bits, or more than a float holds
        or b"0e" in digits  # an exponent: so may this be
        or b"0E" in digits
        or b"\\u" in value  # a null character, half a surrogate pair, or "_id" in another spelling
        or b'"_id"' in value
        or value.count(b"{") + value.count(b"[") > MOST_LEVELS
    )


def is_plain(model: type[BaseModel]) -> bool:
    """Whether a model only checks: it gives what was sent, and nothing that JSON has not."""
    own = any(getattr_static(model, name) is not vars(BaseModel)[name] for name in METHODS)
    return not own and not model.__pydantic_root_model__ and _plain(model.__pydantic_core_schema__)


def _plain(schema: Any) -> bool:
    if isinstance(schema, list | tuple):
        return all(map(_plain, schema))
    if not isinstance(schema, Mapping):
        return True
    kind = schema.get("type")
    if kind is not None and (kind not in PLAIN or not _plain_kind(kind, schema)):
        return False
    if schema.get("serialization") or schema.get("computed_fields"):
        return False
    return all(_plain(inner) for name, inner in schema.items() if name not in NO_SCHEMAS)


def _plain_kind(kind: str, schema: Mapping[str, Any]) -> bool:
    """What else is asked of some kinds of schema."""
    match kind:
        case "model":
            return not (schema.get("post_init") or schema.get("custom_init"))
        case "model-fields":
            return all(
                len(name) <= LONGEST_NAME and _plain(field) for name, field in schema["fields"].items()
            )
        case "model-field":
            name = schema.get("serialization_alias") or ""
            return len(name) <= LONGEST_NAME and "\0" not in name and name != "_id"
        case "literal":
            return all(value is None or type(value) in {str, int, bool} for value in schema["expected"])
        case "dict":
            return schema.get("keys_schema", ANY)["type"] in {"any", "str"}
    return True
