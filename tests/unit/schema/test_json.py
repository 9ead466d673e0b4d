from http.server import HTTPServer, SimpleHTTPRequestHandler
from threading import Thread

import pytest

from prom_faust.exceptions import Failure, SchemaError
from prom_faust.schema.json import REASON_LIMIT, failures, pointer, takes_null, validator

NULLABLE = {"type": ["number", "null"]}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strang"},
        {"minimum": "x"},
        {"type": "string", "pattern": "("},
        {"properties": []},
        {"$ref": "#/$defs/missing"},
        {"$schema": "http://127.0.0.1/no-such-draft"},
        {1: 2},
    ],
    ids=repr,
)
def test_what_is_no_schema_is_refused(schema):
    with pytest.raises(SchemaError, match="no valid JSON Schema"):
        validator(schema)


def test_nothing_is_fetched(tmp_path):
    (tmp_path / "schema.json").write_text("{}")
    asked = []

    class Answer(SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        for url in (f"http://127.0.0.1:{server.server_port}/schema.json", f"file://{tmp_path}/schema.json"):
            with pytest.raises(SchemaError):
                validator({"$ref": url})
        server.shutdown()
    assert asked == []


def test_a_schema_is_of_draft_2020_12_unless_it_says_otherwise():
    tuple_of_2020 = {"prefixItems": [{"type": "integer"}], "items": False}
    assert not validator(tuple_of_2020).is_valid([1, 2])
    of_draft_7 = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "integer"}]}
    assert validator({**of_draft_7, "additionalItems": True}).is_valid([1, "x"])
    assert not validator(of_draft_7).is_valid(["x"])


def test_true_takes_all_and_false_nothing():
    assert failures(validator(True), {"a": [None]}) == ()
    assert [failure.path for failure in failures(validator(False), 1)] == [""]


def test_every_failing_path_is_named_in_a_stable_order():
    schema = {
        "type": "object",
        "properties": {
            "n": {"type": "integer"},
            "l": {"type": "array", "items": {"type": "object", "required": ["x"]}},
        },
        "required": ["m"],
        "additionalProperties": False,
    }
    found = failures(validator(schema), {"n": "1", "l": [{}, {"x": 1}, 5], "z": 0, "y": 0})
    assert [failure.path for failure in found] == ["/l/0/x", "/l/2", "/m", "/n", "/y", "/z"]
    assert Failure("/m", "is required, and is missing") in found
    assert Failure("/z", "is no field of the schema") in found


@pytest.mark.parametrize(
    ("steps", "expected"),
    [([], ""), (["a", 0, "b"], "/a/0/b"), (["a/b", "c~d"], "/a~1b/c~0d"), (["~1"], "/~01"), ([""], "/")],
)
def test_a_path_is_a_json_pointer(steps, expected):
    assert pointer(steps) == expected


def test_names_in_failures_are_escaped():
    schema = {"required": ["a/b"], "properties": {"c~d": False}, "additionalProperties": False}
    paths = {failure.path for failure in failures(validator(schema), {"c~d": 1, "e/f": 1})}
    assert paths == {"/a~1b", "/c~0d", "/e~1f"}


def test_a_union_tells_why_each_branch_does_not_fit():
    schema = {"properties": {"a": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}}
    (failure,) = failures(validator(schema), {"a": "x"})
    assert failure.path == "/a"
    assert "integer" in failure.reason
    assert "null" in failure.reason


def test_a_reason_does_not_quote_a_huge_value():
    (failure,) = failures(validator({"type": "integer"}), ["x" * 100_000])
    assert len(failure.reason) <= REASON_LIMIT


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        NULLABLE,
        {"type": "object"},
        {"type": "object", "properties": {"a": {"type": "string"}}},
        {"type": "object", "properties": {"a": NULLABLE}, "additionalProperties": False},
        {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
        {"type": "object", "properties": {"a": True}, "additionalProperties": False},
        {"type": "object", "properties": {"const": NULLABLE}, "additionalProperties": False},
        {"type": "object", "patternProperties": {"^a": NULLABLE}, "additionalProperties": False},
        {"type": "object", "additionalProperties": NULLABLE},
        {"type": "array"},
        {"type": "array", "items": {"type": "array"}},
        {"type": "array", "items": NULLABLE},
        {"type": "array", "prefixItems": [{"type": "string"}]},
        {"type": "array", "prefixItems": [NULLABLE], "items": False},
        {"const": None},
        {"enum": [1, None]},
        {"not": {"type": "string"}},
        {"$defs": {"x": NULLABLE}, "properties": {"a": {"$ref": "#/$defs/x"}}, "additionalProperties": False},
        {"type": ["object", "null"], "properties": {"a": {"$ref": "#"}}, "additionalProperties": False},
    ],
    ids=repr,
)
def test_a_place_that_takes_null_is_found(schema):
    assert takes_null(schema)


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"type": "number"},
        {"const": 1},
        {"enum": [1, 2]},
        {"type": "array", "items": {"type": "number"}},
        {"type": "object", "properties": {"a": {"type": "number"}}, "additionalProperties": False},
        {"type": "object", "additionalProperties": {"type": "number"}},
        {"type": "number", "default": None},
        {
            "type": "object",
            "properties": {"a": {"type": "number", "default": None}},
            "additionalProperties": False,
        },
        {
            "$defs": {"x": {"type": "number"}},
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/x"}},
            "additionalProperties": False,
        },
    ],
    ids=repr,
)
def test_where_no_place_takes_null_none_is_found(schema):
    assert not takes_null(schema)
