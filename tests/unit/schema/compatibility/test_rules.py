from itertools import permutations

import pytest

from prom_faust.schema.compatibility import Incompatibility, incompatibilities
from prom_faust.schema.compatibility.incompatibility import show


def closed(required=(), **properties):
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def opened(required=(), **properties):
    return {"type": "object", "properties": properties, "required": list(required)}


def found(reader, writer):
    return [(finding.path, finding.rule) for finding in incompatibilities(reader, writer)]


TEXT = {"type": "string"}
INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}
NULL = {"type": "null"}
DATE = {"type": "string", "format": "date-time"}
CAT = closed(["kind"], kind={"const": "cat"}, lives=INTEGER)
DOG = closed(["kind"], kind={"const": "dog"}, name=TEXT)
TREE = {
    "$ref": "#/$defs/T",
    "$defs": {"T": closed(v=INTEGER, kids={"type": "array", "items": {"$ref": "#/$defs/T"}})},
}
WIDE_TREE = {
    "$ref": "#/$defs/N",
    "$defs": {"N": closed(v=NUMBER, kids={"type": "array", "items": {"$ref": "#/$defs/N"}})},
}

# Each reader takes every value of its writer.
COMPATIBLE = {
    "anything": ({}, TEXT),
    "true": (True, {"not": {}}),
    "an-empty-writer": ({"minimum": 3}, False),
    "an-empty-reader-of-an-empty-writer": (False, {"allOf": [TEXT, NULL]}),
    "no-value-of-a-required-property": (NULL, opened(["a"], a=False)),
    "the-same": ({"not": TEXT}, {"title": "x", "not": {"type": "string", "description": "y"}}),
    "integers-are-numbers": (NUMBER, INTEGER),
    "integers-by-divisor": ({"multipleOf": 0.5}, INTEGER),
    "a-list-of-types": ({"type": ["null", "string"]}, TEXT),
    "no-type-is-every-type": ({"type": ["null", "boolean", "number", "string", "array", "object"]}, {}),
    "a-number-keyword-and-a-string": ({"minimum": 3}, TEXT),
    "a-string-keyword-and-a-number": ({"minLength": 3, "pattern": "a"}, NUMBER),
    "an-array-keyword-and-a-string": ({"items": False, "minItems": 1, "contains": NULL}, TEXT),
    "an-object-keyword-and-a-string": ({"required": ["a"], "dependentRequired": {"a": ["b"]}}, TEXT),
    "listed": ({"enum": ["a", "b", "c"]}, {"enum": ["a", "b"]}),
    "one-of-the-listed": ({"enum": ["a", "b"]}, {"const": "b"}),
    "listed-and-really-sent": ({"const": "a"}, {"enum": ["a", 1, "bb"], "type": "string", "maxLength": 1}),
    "listed-and-typed": (TEXT, {"enum": ["a", "b"]}),
    "listed-floats-are-integers": (INTEGER, {"enum": [1, 2.0]}),
    "listed-without-text-needs-no-format": (DATE | {"type": ["string", "null"]}, {"const": None}),
    "listed-beside-a-format": ({"anyOf": [DATE, {"enum": ["never"]}]}, {"const": "never"}),
    "both-booleans": ({"enum": [False, True, None]}, {"type": ["boolean", "null"]}),
    "a-wider-minimum": ({"minimum": 1}, {"minimum": 2, "type": "number"}),
    "an-exclusive-writer": ({"minimum": 1}, {"exclusiveMinimum": 1}),
    "both-exclusive": ({"exclusiveMaximum": 1}, {"exclusiveMaximum": 1, "maximum": 4}),
    "more-than-0-is-1": ({"minimum": 1}, {"exclusiveMinimum": 0, "type": "integer"}),
    "less-than-half-is-0": ({"maximum": 0}, {"maximum": 0.5, "type": "integer"}),
    "at-least-1-is-more-than-a-half": ({"exclusiveMinimum": 0.5}, {"minimum": 0.6, "type": "integer"}),
    "multiples": ({"multipleOf": 3}, {"multipleOf": 6}),
    "decimal-multiples": ({"multipleOf": 0.1}, {"multipleOf": 0.3}),
    "sizes": ({"minLength": 1, "maxLength": 9.0}, {"minLength": 2, "maxLength": 8}),
    "the-same-pattern": ({"pattern": "^a"}, {"pattern": "^a", "maxLength": 3}),
    "the-same-format": (DATE, {**DATE, "minLength": 3}),
    "only-the-writer-has-a-format": (TEXT, DATE),
    "a-string-format-and-a-number": ({"format": "date"}, INTEGER),
    "items": ({"items": NUMBER}, {"type": "array", "items": INTEGER}),
    "no-items-are-left": ({"prefixItems": [TEXT], "items": False}, {"items": TEXT, "maxItems": 1}),
    "a-tuple-is-a-list": (
        {"items": {"type": ["string", "integer"]}},
        {"prefixItems": [TEXT, INTEGER], "items": False},
    ),
    "a-closed-tuple-has-a-length": ({"maxItems": 2}, {"prefixItems": [TEXT, INTEGER], "items": False}),
    "one-item-is-unique": ({"uniqueItems": True}, {"maxItems": 1}),
    "contains-the-same": ({"contains": NULL}, {"contains": NULL, "items": {"type": ["null", "string"]}}),
    "an-added-property": (opened(a=TEXT, b=INTEGER), closed(a=TEXT)),
    "a-removed-property": (opened(a=TEXT), closed(a=TEXT, b=INTEGER)),
    "an-added-property-anything-goes": (opened(a=TEXT, b={}), opened(a=TEXT)),
    "no-longer-required": (closed(a=TEXT), closed(["a"], a=TEXT)),
    "further-properties": (
        {"additionalProperties": NUMBER},
        {**closed(a=INTEGER), "additionalProperties": INTEGER},
    ),
    "a-property-of-the-further-ones": (opened(a=NUMBER), {"type": "object", "additionalProperties": INTEGER}),
    "counted-properties": ({"minProperties": 1, "maxProperties": 2}, closed(["a"], a=TEXT, b=TEXT)),
    "the-same-property-pattern": (
        {"patternProperties": {"^a": NUMBER}},
        {"patternProperties": {"^a": INTEGER}, "type": "object"},
    ),
    "a-pattern-names-a-property": ({"patternProperties": {"^a": NUMBER}}, closed(ab=INTEGER, b=TEXT)),
    "names-of-a-pattern": (
        {"patternProperties": {"^a": {}}, "additionalProperties": False},
        {"type": "object", "propertyNames": {"pattern": "^a"}},
    ),
    "listed-names": (
        closed(a=INTEGER, b=INTEGER),
        {"propertyNames": {"enum": ["a"]}, "additionalProperties": INTEGER, "type": "object"},
    ),
    "longer-names": (
        {"propertyNames": {"maxLength": 3}},
        {"propertyNames": {"maxLength": 2}, "type": "object"},
    ),
    "names-of-a-closed-writer": ({"propertyNames": {"enum": ["a", "b"]}}, closed(a=TEXT)),
    "a-union-of-types": ({"anyOf": [TEXT, NULL]}, {"type": ["string", "null"]}),
    "types-of-a-union": ({"type": ["string", "null"]}, {"anyOf": [TEXT, NULL]}),
    "a-wider-union": ({"anyOf": [NULL, INTEGER, TEXT]}, {"anyOf": [TEXT, NULL]}),
    "a-union-beside-other-keywords": (
        {"anyOf": [opened(a=TEXT, b=TEXT), NULL]},
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {"a": TEXT},
            "anyOf": [{}, opened(["a"])],
        },
    ),
    "numbers-in-two-branches": (
        {"anyOf": [INTEGER, {"type": ["number", "string"]}]},
        {"type": ["number", "string"]},
    ),
    "one-of-disjoint-types": ({"oneOf": [TEXT, NULL, INTEGER]}, {"type": ["string", "null"]}),
    "one-of-tagged": ({"oneOf": [CAT, DOG]}, DOG),
    "a-tagged-union-is-widened": (
        {"oneOf": [CAT, DOG, closed(["kind"], kind={"const": "cow"})]},
        {"oneOf": [DOG, CAT]},
    ),
    "the-same-one-of": (
        {"oneOf": [{"minimum": 1}, {"maximum": 2}]},
        {"oneOf": [{"minimum": 1}, {"maximum": 2}], "type": "number"},
    ),
    "all-of-the-reader": ({"allOf": [{"minimum": 1}, {"maximum": 9}]}, {"minimum": 2, "maximum": 8}),
    "all-of-the-writer": ({"minimum": 1, "maximum": 9}, {"allOf": [{"minimum": 2}, {"maximum": 8}]}),
    "objects-of-all-of": (
        opened(["a", "b"], a=TEXT, b=INTEGER),
        {"allOf": [opened(["a"], a=TEXT), opened(["b"], b=INTEGER)]},
    ),
    "not-of-the-writer": (TEXT, {**TEXT, "not": {"const": "a"}, "if": NULL, "unevaluatedItems": False}),
    "the-same-condition": (
        {"if": NULL, "then": False},
        {"if": NULL, "then": False, "type": ["null", "string"]},
    ),
    "the-same-dependency": (
        {"dependentRequired": {"a": ["b"]}},
        {"dependentRequired": {"a": ["b"]}, "minProperties": 1},
    ),
    "the-same-odd-keywords": (
        {"items": [TEXT], "additionalItems": False},
        {"items": [TEXT], "additionalItems": False, "minItems": 1},
    ),
    "annotations": ({"examples": [1], "x-unit": "ms", "readOnly": True}, {"default": 3}),
    "a-reference": ({"$ref": "#/$defs/A", "$defs": {"A": TEXT}}, TEXT),
    "references-of-both": (
        {"$ref": "#/$defs/A", "$defs": {"A": NUMBER}},
        {"$ref": "#/definitions/A~1b%20c", "definitions": {"A/b c": INTEGER}},
    ),
    "a-reference-with-siblings": (
        {"minimum": 2},
        {"$ref": "#/$defs/A", "minimum": 2, "$defs": {"A": INTEGER}},
    ),
    "a-recursion": (WIDE_TREE, TREE),
    "a-recursion-to-the-root": (closed(a={"$ref": "#"}, n=NUMBER), closed(a={"$ref": "#"}, n=INTEGER)),
    "an-unrolled-recursion": (
        TREE,
        closed(v=INTEGER, kids={"type": "array", "items": TREE["$defs"]["T"]}) | TREE,
    ),
    "a-draft-7-writer": (TEXT, {"$schema": "http://json-schema.org/draft-07/schema#", "type": "string"}),
}

INCOMPATIBLE = {
    "an-empty-reader": (False, TEXT, [("", "nothing-admitted")]),
    "another-type": (TEXT, INTEGER, [("", "type-changed")]),
    "fewer-types": (TEXT, {"type": ["string", "null"]}, [("", "type-narrowed")]),
    "an-untyped-writer": (TEXT, {}, [("", "type-narrowed")]),
    "numbers-are-not-integers": (INTEGER, NUMBER, [("", "type-narrowed")]),
    "booleans-are-not-integers": ({"enum": [0, 1]}, {"enum": [True]}, [("", "enum-narrowed")]),
    "one-is-not-true": ({"const": 1}, {"const": True}, [("", "enum-narrowed")]),
    "fewer-listed": ({"enum": ["a"]}, {"enum": ["a", "b"]}, [("", "enum-narrowed")]),
    "listed-and-too-long": ({"maxLength": 1}, {"enum": ["a", "bb"]}, [("", "enum-narrowed")]),
    "listed-and-any": ({"enum": ["a"]}, TEXT, [("", "enum-narrowed")]),
    "const-and-any": ({"const": 3}, INTEGER, [("", "enum-narrowed")]),
    "one-boolean": ({"const": True}, {"type": "boolean"}, [("", "enum-narrowed")]),
    "listed-and-a-format": (DATE, {"enum": ["now"]}, [("", "undecided")]),
    "listed-and-an-odd-keyword": ({"nullable": True}, {"enum": ["now"]}, [("", "undecided")]),
    "a-higher-minimum": ({"minimum": 2}, {"minimum": 1, "type": "number"}, [("", "bounds-tightened")]),
    "a-lower-maximum": (
        {"maximum": 2},
        {"exclusiveMaximum": 3, "type": "number"},
        [("", "bounds-tightened")],
    ),
    "an-exclusive-minimum": (
        {"exclusiveMinimum": 1},
        {"minimum": 1, "type": "number"},
        [("", "bounds-tightened")],
    ),
    "an-exclusive-maximum": (
        {"exclusiveMaximum": 1},
        {"maximum": 1, "type": "integer"},
        [("", "bounds-tightened")],
    ),
    "no-minimum": ({"minimum": 2}, NUMBER, [("", "bounds-tightened")]),
    "more-than-half-is-no-number-from-1": (
        {"minimum": 1},
        {"exclusiveMinimum": 0, "type": "number"},
        [("", "bounds-tightened")],
    ),
    "other-multiples": ({"multipleOf": 4}, {"multipleOf": 6}, [("", "multiple-narrowed")]),
    "no-multiples": ({"multipleOf": 2}, INTEGER, [("", "multiple-narrowed")]),
    "a-higher-length": ({"minLength": 2}, {**TEXT, "minLength": 1}, [("", "bounds-tightened")]),
    "a-lower-length": ({"maxLength": 2}, {**TEXT, "maxLength": 3}, [("", "bounds-tightened")]),
    "another-pattern": ({"pattern": "^a"}, {**TEXT, "pattern": "^ab"}, [("", "undecided")]),
    "an-added-format": (DATE, TEXT, [("", "format-added")]),
    "another-format": (DATE, {**TEXT, "format": "date"}, [("", "format-added")]),
    "a-format-of-numbers": ({"format": "int32"}, INTEGER, [("", "format-added")]),
    "items": ({"items": TEXT}, {"type": "array", "items": INTEGER}, [("/*", "type-changed")]),
    "a-position": (
        {"prefixItems": [TEXT, TEXT]},
        {"type": "array", "items": INTEGER, "maxItems": 1},
        [("/0", "type-changed")],
    ),
    "after-the-prefix": (
        {"prefixItems": [TEXT], "items": TEXT},
        {"type": "array", "prefixItems": [TEXT], "items": INTEGER},
        [("/*", "type-changed")],
    ),
    "a-closed-tuple": (
        {"prefixItems": [TEXT], "items": False},
        {"type": "array", "items": TEXT},
        [("/*", "nothing-admitted")],
    ),
    "fewer-items": ({"maxItems": 2}, {"type": "array", "maxItems": 3}, [("", "bounds-tightened")]),
    "more-items": ({"minItems": 2}, {"type": "array", "maxItems": 3}, [("", "bounds-tightened")]),
    "unique-items": ({"uniqueItems": True}, {"type": "array"}, [("", "unique-added")]),
    "contains": ({"contains": NULL}, {"type": "array", "contains": TEXT}, [("", "undecided")]),
    "contains-fewer": (
        {"contains": NULL, "maxContains": 1},
        {"type": "array", "contains": NULL, "maxContains": 2},
        [("", "undecided")],
    ),
    "required": (closed(["a"], a=TEXT), closed(a=TEXT), [("/a", "required-added")]),
    "a-name-with-slashes": (opened(["a/b~"]), closed(), [("/a~1b~0", "required-added")]),
    "a-property-of-another-type": (opened(a=TEXT), closed(a=INTEGER), [("/a", "type-changed")]),
    "closed-and-open": (closed(a=TEXT), opened(a=TEXT), [("", "closed-object")]),
    "closed-and-known": (closed(a=TEXT), closed(a=TEXT, b=TEXT), [("/b", "property-removed")]),
    "added-to-an-open-writer": (opened(a=TEXT, b=TEXT), opened(a=TEXT), [("/b", "open-object")]),
    "further-properties-of-an-open-writer": (
        {"additionalProperties": TEXT},
        {"type": "object"},
        [("/*", "open-object")],
    ),
    "further-properties": (
        {"additionalProperties": TEXT},
        {"type": "object", "additionalProperties": INTEGER},
        [("/*", "type-changed")],
    ),
    "a-property-of-the-further-ones": (
        opened(a=TEXT),
        {"type": "object", "additionalProperties": INTEGER},
        [("/a", "type-changed")],
    ),
    "more-properties": ({"minProperties": 2}, closed(["a"], a=TEXT, b=TEXT), [("", "bounds-tightened")]),
    "fewer-properties": ({"maxProperties": 1}, closed(["a"], a=TEXT, b=TEXT), [("", "bounds-tightened")]),
    "a-pattern-of-properties": (
        {"patternProperties": {"^a": TEXT}},
        {"type": "object", "patternProperties": {"^a": INTEGER}},
        [("/*", "type-changed")],
    ),
    "another-pattern-of-properties": (
        {"patternProperties": {"^a": TEXT}, "type": "object"},
        {"type": "object", "patternProperties": {"^ab": TEXT}},
        [("/*", "open-object")],
    ),
    "a-pattern-names-a-property": (
        {"patternProperties": {"^a": TEXT}},
        closed(ab=INTEGER),
        [("/ab", "type-changed")],
    ),
    "too-many-patterns": (
        {"patternProperties": dict.fromkeys("abcde", TEXT)},
        {"type": "object", "minProperties": 1},
        [("", "undecided")],
    ),
    "an-impossible-pattern": ({"patternProperties": {"(": TEXT}}, closed(a=TEXT), [("", "undecided")]),
    "names": (
        {"propertyNames": {"maxLength": 1}},
        closed(a=TEXT, ab=TEXT),
        [("/ab", "property-names-narrowed")],
    ),
    "names-of-an-open-writer": (
        {"propertyNames": {"maxLength": 1}},
        {"type": "object"},
        [("", "property-names-narrowed")],
    ),
    "names-with-a-format": ({"propertyNames": {"format": "date"}}, closed(a=TEXT), [("", "undecided")]),
    "fewer-branches": ({"anyOf": [TEXT, NULL]}, {"anyOf": [TEXT, NULL, INTEGER]}, [("", "type-narrowed")]),
    "no-branch": ({"anyOf": [TEXT, NULL]}, INTEGER, [("", "type-changed")]),
    "the-only-branch-of-its-type": (
        {"anyOf": [opened(a=TEXT), NULL]},
        closed(a=INTEGER),
        [("/a", "type-changed")],
    ),
    "branches-alike": (
        {"anyOf": [{"maxLength": 2}, {"minLength": 4}]},
        TEXT,
        [("", "union-narrowed")],
    ),
    "a-tagged-branch-changed": (
        {"oneOf": [CAT, DOG]},
        {**DOG, "properties": {**DOG["properties"], "name": NULL}},
        [("/name", "type-changed")],
    ),
    "one-of-overlaps": (
        {"oneOf": [{"minimum": 1}, {"maximum": 2}]},
        {**NUMBER, "minimum": 1},
        [("", "undecided")],
    ),
    "one-of-a-type": ({"oneOf": [TEXT, NULL]}, {"type": ["string", "integer"]}, [("", "type-narrowed")]),
    "one-of-overlaps-in-a-part": (
        {"oneOf": [{"anyOf": [INTEGER, {"maxLength": 1}]}, TEXT]},
        {"type": ["string"]},
        [("", "undecided")],
    ),
    "tags-that-may-be-absent": (
        {"oneOf": [closed(kind={"const": "cat"}), closed(kind={"const": "dog"})]},
        closed(kind={"const": "cat"}),
        [("", "undecided")],
    ),
    "all-of": ({"allOf": [{"minimum": 1}, {"maximum": 9}]}, NUMBER, [("", "bounds-tightened")] * 2),
    "not": ({"not": {"const": 1}}, INTEGER, [("", "undecided")]),
    "another-condition": ({"if": NULL, "then": False}, {"if": NULL, "then": TEXT}, [("", "undecided")]),
    "unevaluated": (
        {"unevaluatedProperties": False},
        {"type": "object", "unevaluatedProperties": False},
        [("", "undecided")],
    ),
    "dependencies": (
        {"dependentSchemas": {"a": TEXT}},
        {"dependentSchemas": {"a": NULL}},
        [("", "undecided")],
    ),
    "odd-keywords": (
        {"dependencies": {"a": ["b"]}, "maxium": 3},
        {"type": "object"},
        [("", "undecided")] * 2,
    ),
    "draft-7-items": ({"items": [TEXT]}, {"type": "array", "items": [NULL]}, [("", "undecided")]),
    "odd-keywords-with-references": (
        {"dependencies": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": TEXT}},
        {"dependencies": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": NULL}},
        [("", "undecided")],
    ),
    "equal-text-of-other-definitions": (
        closed(a={"$ref": "#/$defs/A"}) | {"$defs": {"A": TEXT}},
        closed(a={"$ref": "#/$defs/A"}) | {"$defs": {"A": INTEGER}},
        [("/a", "type-changed")],
    ),
    "a-remote-reference": ({"$ref": "https://example.org/a"}, TEXT, [("", "undecided")]),
    "a-dynamic-reference": ({"$dynamicRef": "#a"}, TEXT, [("", "undecided")]),
    "a-missing-reference": ({"$ref": "#/$defs/B"}, TEXT, [("", "undecided")]),
    "a-resource-inside": (
        {"$ref": "#/$defs/A", "$defs": {"A": {"$id": "b", "$ref": "#/$defs/A", "$defs": {"A": NULL}}}},
        TEXT,
        [("", "undecided")],
    ),
    "a-reference-in-a-resource-inside": (
        opened(a={"$id": "b", "$ref": "#/$defs/A", "$defs": {"A": NULL}}) | {"$defs": {"A": TEXT}},
        closed(a=TEXT),
        [("/a", "undecided")],
    ),
    "a-reference-to-itself": ({"anyOf": [{"$ref": "#"}, NULL]}, TEXT, [("", "undecided")]),
    "a-paradox": (
        {"oneOf": [{"enum": ["a", 2]}, {"$ref": "#", "type": "number"}]},
        {"enum": [2]},
        [("", "undecided")],
    ),
    "a-recursion": (TREE, WIDE_TREE, [("/v", "type-narrowed")]),
    "a-recursion-in-a-union": (
        {"anyOf": [closed(next={"$ref": "#"}, v=TEXT), NULL]},
        {"anyOf": [closed(next={"$ref": "#"}, v=INTEGER), NULL]},
        [("/v", "type-changed")],
    ),
    "every-finding": (
        closed(["a", "b"], a=TEXT, b={"maximum": 1}, c={"type": "array", "items": INTEGER}),
        closed([], a=INTEGER, b={"type": "number", "minimum": 0}, c={"type": "array", "items": NULL}, d=TEXT),
        [
            ("/a", "required-added"),
            ("/b", "required-added"),
            ("/a", "type-changed"),
            ("/b", "bounds-tightened"),
            ("/c/*", "type-changed"),
            ("/d", "property-removed"),
        ],
    ),
}


@pytest.mark.parametrize(("reader", "writer"), COMPATIBLE.values(), ids=COMPATIBLE)
def test_what_takes_every_value_of_the_writer_is_compatible(reader, writer):
    assert incompatibilities(reader, writer) == []


@pytest.mark.parametrize(("reader", "writer", "expected"), INCOMPATIBLE.values(), ids=INCOMPATIBLE)
def test_what_may_refuse_a_value_of_the_writer_is_told_with_path_and_rule(reader, writer, expected):
    assert found(reader, writer) == expected


@pytest.mark.parametrize("schema", [case[side] for case in COMPATIBLE.values() for side in (0, 1)])
def test_every_schema_reads_itself_under_another_title(schema):
    other = {**schema, "title": "another"} if isinstance(schema, dict) else schema
    assert incompatibilities(other, schema) == []


def test_a_finding_says_what_to_do():
    (finding,) = incompatibilities(closed(["host"], host=TEXT), closed(host=TEXT))
    assert finding == Incompatibility(
        path="/host",
        rule="required-added",
        reason="The reader requires 'host', which the writer may leave out: give the field a default.",
    )
    (finding,) = incompatibilities(closed(), {"type": "object"})
    assert 'close the writer with additionalProperties: false (extra="forbid")' in finding.reason


def test_refused_values_are_named():
    (finding,) = incompatibilities({"enum": ["a"]}, {"enum": ["a", "b", None]})
    assert 'refuses "b", null' in finding.reason
    assert show(list(range(8))) == "0, 1, 2, 3, 4 and 3 more"


def test_what_cannot_be_told_names_its_keyword():
    for keyword, operand in [("not", TEXT), ("pattern", "a"), ("$ref", "x:y"), ("if", NULL), ("maxium", 3)]:
        (finding,) = incompatibilities({keyword: operand}, {})
        assert finding.rule == "undecided"
        assert f"The reader's {keyword} " in finding.reason


def test_what_was_concluded_from_a_refuted_pair_is_void():
    """Q holds P holds Q. P is met inside Q and taken for compatible before Q's own z refutes Q, in a branch that may
    fail because the next one reads everything; afterwards P stands alone.
    """

    def schema(first, z):
        definitions = {
            "P": closed(q={"$ref": "#/$defs/Q"}),
            "Q": closed(p={"$ref": "#/$defs/P"}, z=z),
        }
        return closed(first=first, second={"$ref": "#/$defs/P"}) | {"$defs": definitions}

    inner = closed(inner={"$ref": "#/$defs/Q"})
    reader = schema({"anyOf": [inner, {"type": "object", "minProperties": 0}]}, INTEGER)
    assert found(reader, schema(inner, NUMBER)) == [("/second/q/z", "type-narrowed")]
    assert found(reader, schema(inner, {"const": 3})) == []


def test_mutual_recursion_is_refuted_wherever_it_starts():
    """b follows from a and a from b; a difference in either refutes both, also inside unions that were tried."""

    def graph(leaf, first, second):
        definitions = {
            "A": closed(next={"anyOf": [{"$ref": "#/$defs/B"}, NULL]}, other={"$ref": "#/$defs/C"}),
            "B": closed(next={"anyOf": [{"$ref": "#/$defs/A"}, NULL]}),
            "C": closed(next={"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]}, leaf=leaf),
        }
        return closed(first={"$ref": f"#/$defs/{first}"}, second={"$ref": f"#/$defs/{second}"}) | {
            "$defs": definitions
        }

    for first, second in permutations("ABC", 2):
        assert found(graph(NUMBER, first, second), graph(INTEGER, first, second)) == []
        assert found(graph(INTEGER, first, second), graph(NUMBER, first, second)) != []


def test_deep_and_wide_schemas_end():
    deep_reader, deep_writer = TEXT, {**TEXT, "minLength": 1}
    for _ in range(100):
        deep_reader, deep_writer = closed(a=deep_reader), closed(a=deep_writer)
    (finding,) = incompatibilities(deep_reader, deep_writer)
    assert (finding.rule, finding.path[:4]) == ("undecided", "/a/a")
    pick = {"anyOf": [{"minLength": size} for size in range(9)]}
    wide = {"allOf": [pick] * 6, "type": "string"}
    assert incompatibilities({"minLength": 9}, wide)
