"""When a JSON Schema says all of what a pydantic class accepts, so that nothing must be read to be sure. Pure.

Pydantic's JSON Schema leaves out what JSON Schema cannot say (validators, strict types, white space that is
stripped, aliases with a path). Here is what is known to be left out of nothing; all else is read back before it is
sent. One thing is added: floats beyond 64 bits, which JSON Schema takes for integers and pydantic does not.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, cast

from prom_faust.schema.json import JSONSchema, places

__all__ = ["certain_schema"]

INT64 = range(-(2**63), 2**63)
ANNOTATIONS = frozenset({"title", "description", "examples", "deprecated"})
BOUNDS = frozenset({"ge", "gt", "le", "lt"})
COMMON = frozenset({"type", "ref", "metadata", "serialization"})

Node = Mapping[str, Any]


def certain_schema(core: Node, writer: JSONSchema) -> JSONSchema | None:
    """A schema whose every value the class reads, or None where no schema can say so.

    Args:
        core: the class's core schema.
        writer: the schema of what it emits.
    """
    if not _is_said(core) or isinstance(writer, bool):
        return None
    narrowed = deepcopy(dict(writer))
    for place in places(narrowed):
        if isinstance(place, dict) and "integer" in place.get("type", ()):
            place["maximum"] = min(place.get("maximum", INT64[-1]), INT64[-1])
            place["minimum"] = max(place.get("minimum", INT64[0]), INT64[0])
    return narrowed


def _is_said(node: Node) -> bool:
    """Whether a core schema's node, and everything in it, is known, with options that its JSON Schema shows."""
    known = _KNOWN.get(str(node.get("type")))
    if known is None:
        return False
    options, check = known
    named = {name for name, value in node.items() if value not in (None, False)}
    return named <= COMMON | options and _is_plain(node.get("metadata")) and check(node)


def _is_plain(metadata: Node | None) -> bool:
    """Whether nobody wrote over the JSON Schema."""
    found = dict(metadata or {})
    if len(found.pop("pydantic_js_functions", ())) > 1:
        return False
    updates = found.pop("pydantic_js_updates", None) or {}
    return not any(found.values()) and updates.keys() <= ANNOTATIONS


def _inside(*names: str) -> Callable[[Node], bool]:
    return lambda node: all(_is_said(node[name]) for name in names if name in node)


def _model(node: Node) -> bool:
    config = node.get("config") or {}
    usual = config.keys() <= {"title", "extra_fields_behavior", "frozen"}
    own = "__get_pydantic_json_schema__" in {name for cls in node["cls"].__mro__[:-1] for name in _names(cls)}
    return usual and not own and config.get("extra_fields_behavior") != "allow" and _is_said(node["schema"])


def _names(cls: type) -> list[str]:
    return [] if cls.__module__ == "pydantic.main" else list(vars(cls))


def _fields(node: Node) -> bool:
    return all(_is_said(field) for field in node["fields"].values())


def _field(node: Node) -> bool:
    return isinstance(node.get("validation_alias", ""), str) and _is_said(node["schema"])


def _dict(node: Node) -> bool:
    return (
        node.get("keys_schema") == {"type": "str"}
        and "values_schema" in node
        and _is_said(node["values_schema"])
    )


def _list(node: Node) -> bool:
    return "items_schema" in node and _is_said(node["items_schema"])


def _literal(node: Node) -> bool:
    return all(type(value) is str for value in node["expected"])


def _choices(node: Node) -> bool:
    return all(not isinstance(choice, tuple) and _is_said(cast(Node, choice)) for choice in node["choices"])


_LENGTH = frozenset({"min_length", "max_length"})
_KNOWN: Mapping[str, tuple[frozenset[str], Callable[[Node], bool]]] = {
    "none": (frozenset(), _inside()),
    "bool": (frozenset(), _inside()),
    "int": (BOUNDS | {"multiple_of"}, _inside()),
    "float": (BOUNDS, _inside()),
    "str": (_LENGTH, _inside()),
    "literal": (frozenset({"expected"}), _literal),
    "nullable": (frozenset({"schema"}), _inside("schema")),
    "default": (frozenset({"schema", "default", "default_factory"}), _inside("schema")),
    "list": (_LENGTH | {"items_schema"}, _list),
    "dict": (_LENGTH | {"keys_schema", "values_schema"}, _dict),
    "union": (frozenset({"choices"}), _choices),
    "model": (frozenset({"cls", "schema", "config", "root_model"}), _model),
    "model-fields": (frozenset({"fields", "model_name", "computed_fields"}), _fields),
    "model-field": (
        frozenset({"schema", "validation_alias", "serialization_alias", "serialization_exclude", "frozen"}),
        _field,
    ),
}
"""Types of nodes, the options that they may have, and what else must hold."""
