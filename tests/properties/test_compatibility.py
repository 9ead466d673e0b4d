"""Schemas and values by chance: where the checker finds nothing, no value of the writer is refused by the reader.

A writer's schema is generated and changed in up to three places to make the reader's, or the other way round. Values
are built to satisfy the writer's schema, and then changed a little. The validator has the last word on both.
"""

from copy import deepcopy

import jsonschema_rs
from hypothesis import given, settings
from hypothesis import strategies as st

from prom_faust.schema.compatibility import incompatibilities

NAMES = ["a", "b", "ab", "c"]
TYPES = ["null", "boolean", "integer", "number", "string", "array", "object"]
SCALARS = [None, True, False, 0, 1, 1.0, 2, 3, -1, 0.5, 1.5, 6, "", "a", "b", "ab", "bab", "2020-01-01"]
VALUES = [*SCALARS, [], [1], ["a", "a"], {}, {"a": 1}, {"b": "a", "a": None}]
NUMBERS = [-1, 0, 0.5, 1, 1.5, 2, 3, 6]
PATTERNS = ["^a", "b$", "^[ab]+$"]
SIZES = [end + what for end in ("min", "max") for what in ("Length", "Items", "Properties")]
FORMATS = ["date", "uuid", "int32"]
DEFINITIONS = ["x", "y"]
REFERENCES = ["#", "#/$defs/x", "#/$defs/y"]
NESTED = (
    "not",
    "if",
    "then",
    "else",
    "contains",
    "unevaluatedProperties",
    "unevaluatedItems",
    "propertyNames",
)
SCHEMAS = ("items", "additionalProperties", *NESTED)
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
MAPS = ("properties", "patternProperties", "dependentSchemas")
DEEPEST = 3
VALUES_PER_PAIR = 12


class Maker:
    """Schemas and values, from a source of random numbers."""

    def __init__(self, random):
        self.random = random

    def some(self, choices, most):
        return self.random.sample(choices, self.random.randint(1, min(most, len(choices))))

    def keyword(self, depth):
        """One keyword, or a few that make sense together only."""
        return self.random.choices(KINDS, WEIGHTS)[0](self, depth)

    def schemas(self, depth):
        return [self.schema(depth + 1) for _ in range(self.random.randint(1, 3))]

    def rare(self, depth):
        return self.random.choice(
            [
                {self.random.choice(NESTED): self.schema(depth + 1)},
                {"contains": self.schema(depth + 1), "maxContains": 1},
                {"dependentRequired": {"a": ["b"]}},
                {"dependentSchemas": {"a": self.schema(depth + 1)}},
                {"dependencies": {"b": ["a"]}},
                {"title": "a title", "default": 1},
            ]
        )

    def properties(self, depth):
        names = self.some(NAMES, 3)
        required = [name for name in names if self.random.random() < 0.4]
        return {"properties": {name: self.schema(depth + 1) for name in names}, "required": required}

    def tagged(self, tag, depth):
        properties = {"a": {"const": tag}, self.random.choice(["b", "c"]): self.schema(depth + 1)}
        return {"type": "object", "properties": properties, "required": ["a"]}

    def schema(self, depth=0):
        if depth > DEEPEST or self.random.random() < 0.06:
            return self.random.choice([True, False, {}, {"type": "string"}, {"type": "integer"}])
        made = {}
        for _ in range(self.random.choice([1, 1, 1, 2, 2, 3])):
            made.update(self.keyword(depth))
        return made

    def document(self):
        """A schema with definitions; half of them shallow, so that values meet their keywords often."""
        depth = self.random.choice([0, DEEPEST])
        schema = self.schema(depth)
        while isinstance(schema, bool):
            schema = self.schema(depth)
        return {**schema, "$defs": {name: self.schema(depth or 1) for name in DEFINITIONS}}

    def changed(self, document):
        """The document, with up to three keywords or parts replaced, added or dropped."""
        made = deepcopy(document)
        for _ in range(self.random.randint(0, 3)):
            places = list(schemas_in(made))
            place = self.random.choice([made, *places])
            definitions = {"$defs": place["$defs"]} if "$defs" in place else {}
            droppable = sorted(place.keys() - {"$defs"})
            change = self.random.choice(["drop", "add", "add", "nudge", "nudge", "replace", "branch", "swap"])
            if change == "drop" and droppable:
                del place[self.random.choice(droppable)]
            elif change == "nudge" and droppable:
                self.nudge(place, self.random.choice(droppable))
            elif change == "replace":
                place.clear()
                place.update(self.keyword(1), **definitions)
            elif change == "branch":
                old = {key: place[key] for key in droppable}
                place.clear()
                place.update({self.random.choice(["anyOf", "oneOf"]): [old, self.schema(2)]}, **definitions)
            elif change == "swap":
                other = deepcopy(self.random.choice(places))
                place.clear()
                place.update({key: other[key] for key in other.keys() - {"$defs"}}, **definitions)
            else:
                place.update(self.keyword(1))
        return made

    def nudge(self, place, keyword):
        value = place[keyword]
        if isinstance(value, list) and len(value) > 1:
            value.pop(self.random.randrange(len(value)))
        elif isinstance(value, dict) and value:
            del value[self.random.choice(sorted(value))]
        elif isinstance(value, int | float) and not isinstance(value, bool) and keyword != "const":
            place[keyword] = (
                abs(value) + self.random.choice([0.5, 1]) if keyword == "multipleOf" else value + 1
            )
            if keyword.startswith(("minL", "maxL", "minI", "maxI", "minP", "maxP", "minC", "maxC")):
                place[keyword] = int(value) + 1

    def value(self, schema, document, depth=0):
        """A value that tries to satisfy a schema."""
        if depth > DEEPEST + 3 or isinstance(schema, bool) or self.random.random() < 0.08:
            return deepcopy(self.random.choice(VALUES))
        if "$ref" in schema and (len(schema) == 1 or self.random.random() < 0.5):
            target = document["$defs"][schema["$ref"][-1]] if schema["$ref"] != "#" else document
            return self.value(target, document, depth + 1)
        for keyword in ("anyOf", "oneOf", "allOf"):
            if keyword in schema and (len(schema) < 3 or self.random.random() < 0.6):
                return self.value(self.random.choice(schema[keyword]), document, depth + 1)
        if "const" in schema:
            return deepcopy(schema["const"])
        if schema.get("enum"):
            return deepcopy(self.random.choice(schema["enum"]))
        return self.typed_value(self.random.choice(likely_types(schema)), schema, document, depth)

    def typed_value(self, kind, schema, document, depth):
        match kind:
            case "object":
                properties = schema.get("properties", {})
                spare = [] if schema.get("additionalProperties") is False else self.some(NAMES, 2)
                names = {
                    *schema.get("required", ()),
                    *(name for name in properties if self.random.random() < 0.6),
                }
                names |= {name for name in spare if self.random.random() < 0.4}
                further = schema.get("additionalProperties", True)
                return {
                    name: self.value(properties.get(name, further), document, depth + 1)
                    for name in sorted(names)
                }
            case "array":
                prefix = schema.get("prefixItems", [])
                rest = schema.get("items", True)
                length = self.random.choice([0, 1, 2, 3, len(prefix), int(schema.get("minItems", 1))])
                elements = [*prefix, *[rest] * length][:length]
                return [self.value(element, document, depth + 1) for element in elements]
            case "integer" | "number":
                bounds = [schema[key] for key in BOUNDS if key in schema] or NUMBERS
                return self.random.choice(bounds) + self.random.choice(
                    [0, 0, 1, -1, 0.5 if kind == "number" else 2]
                )
            case "string":
                return self.random.choice([value for value in SCALARS if isinstance(value, str)])
        return self.random.choice([None] if kind == "null" else [True, False])

    def perturbed(self, value):
        if self.random.random() < 0.3:
            return deepcopy(self.random.choice(VALUES))
        if isinstance(value, dict) and value:
            name = self.random.choice(sorted(value))
            if self.random.random() < 0.3:
                return {key: value[key] for key in value if key != name}
            return {**value, self.random.choice([name, *NAMES]): self.perturbed(value[name])}
        if isinstance(value, list) and value:
            return [*value, self.perturbed(value[0])]
        return deepcopy(self.random.choice(VALUES))


KINDS, WEIGHTS = zip(
    *(
        (lambda make, _: {"type": make.random.choice([*TYPES, make.some(TYPES, 3)])}, 2),
        (lambda make, _: {"enum": make.some(VALUES, 4)}, 1),
        (lambda make, _: {"const": make.random.choice(VALUES)}, 1),
        (lambda make, _: {make.random.choice(BOUNDS): make.random.choice([0.5, 1, 1.5, 2, 3, 6])}, 2),
        (lambda make, _: {make.random.choice(SIZES): make.random.choice([0, 1, 2, 2.0, 3])}, 1),
        (lambda make, _: {"pattern": make.random.choice(PATTERNS)}, 1),
        (lambda make, _: {"format": make.random.choice(FORMATS)}, 0.5),
        (lambda *_: {"uniqueItems": True}, 1),
        (lambda make, depth: {make.random.choice(["items", "propertyNames"]): make.schema(depth + 1)}, 2),
        (lambda make, depth: {"additionalProperties": make.schema(depth + 1)}, 1),
        (lambda make, depth: make.properties(depth), 6),
        (lambda make, depth: {**make.properties(depth), "additionalProperties": False, "type": "object"}, 2),
        (
            lambda make, depth: {
                "patternProperties": {one: make.schema(depth + 1) for one in make.some(PATTERNS, 2)}
            },
            1,
        ),
        (lambda make, _: {"required": make.some(NAMES, 2)}, 1),
        (lambda make, depth: {make.random.choice(LISTS): make.schemas(depth)}, 5),
        (lambda make, depth: {"oneOf": [make.tagged(tag, depth) for tag in make.some(SCALARS, 3)]}, 1),
        (lambda make, _: {"$ref": make.random.choice(REFERENCES)}, 2),
        (Maker.rare, 1),
    ),
    strict=True,
)
BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
TYPICAL = {
    "object": ("properties", "required", "additionalProperties", "patternProperties", "minProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": BOUNDS,
}


def likely_types(schema):
    if "type" in schema:
        return [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return [kind for kind, keywords in TYPICAL.items() if schema.keys() & set(keywords)] or TYPES


def schemas_in(schema):
    """Every part of a schema that is an object, itself included."""
    if not isinstance(schema, dict):
        return
    yield schema
    for keyword, operand in schema.items():
        inner = [operand] if keyword in SCHEMAS else operand if keyword in LISTS else []
        inner = operand.values() if keyword in {*MAPS, "$defs"} else inner
        for part in inner:
            yield from schemas_in(part)


def validator(schema):
    try:
        return jsonschema_rs.Draft202012Validator(schema)
    except jsonschema_rs.ValidationError:
        return None


def pair(maker):
    base = maker.document()
    changed = maker.changed(base)
    return (base, changed) if maker.random.random() < 0.5 else (changed, base)


def counterexample(maker, reader, writer):
    """A value that the writer admits and the reader refuses, if one is met."""
    reads, sends = validator(reader), validator(writer)
    if reads is None or sends is None:
        return None
    for _ in range(VALUES_PER_PAIR):
        value = maker.value(writer, writer)
        for candidate in (value, maker.perturbed(value), maker.value(reader, reader)):
            if sends.is_valid(candidate) and not reads.is_valid(candidate):
                return [candidate]
    return None


randoms = st.randoms(use_true_random=True)


@settings(max_examples=400, deadline=None)
@given(randoms)
def test_nothing_found_means_that_no_value_of_the_writer_is_refused(random):
    maker = Maker(random)
    for _ in range(4):
        reader, writer = pair(maker)
        if not incompatibilities(reader, writer):
            assert counterexample(maker, reader, writer) is None, (reader, writer)


@settings(max_examples=300, deadline=None)
@given(randoms)
def test_every_schema_reads_what_it_writes(random):
    document = Maker(random).document()
    assert incompatibilities(document, deepcopy(document)) == []
    assert incompatibilities({**document, "title": "another"}, document) == []


@settings(max_examples=300, deadline=None)
@given(randoms)
def test_every_finding_has_a_path_a_rule_and_a_sentence(random):
    for finding in incompatibilities(*pair(Maker(random))):
        assert finding.path == "" or finding.path.startswith("/")
        assert finding.rule == finding.rule.lower()
        assert finding.rule
        assert finding.reason.endswith(".")
