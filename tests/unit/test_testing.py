import pytest
from pydantic import BaseModel

from prom_faust.sink.options import ChangelogOptions
from prom_faust.testing import MemoryProjection, fold


class Order(BaseModel):
    id: str
    total: float


def projection(**options):
    return MemoryProjection(ChangelogOptions(topic="t", collection="c", **options))


def test_a_document_is_as_the_sink_stores_it():
    orders = projection()
    orders.send("o1", {"total": 1}, partition=3, timestamp=7)
    orders.send("o2", {"total": 2}, partition=3)
    document = orders.documents["o2"]
    source = document.pop("_src")
    assert document == {"_key": "o2", "total": 2, "_ts": 0}
    assert (source["t"], source["p"], source["o"]) == ("t", 3, 1)
    assert orders.documents["o1"]["_ts"] == 7


@pytest.mark.parametrize(
    "value", [Order(id="o1", total=5), {"id": "o1", "total": 5.0}, b'{"id":"o1","total":5.0}']
)
def test_a_value_is_a_model_json_or_bytes(value):
    orders = projection(model=Order, key_of="id")
    orders.send("o1", value)
    assert orders.documents["o1"]["total"] == 5.0


def test_what_cannot_be_used_is_a_letter_and_no_document():
    orders = projection(model=Order)
    orders.send("o1", {"id": "o1"})
    orders.send("o2", b"[")
    orders.send(None, {"id": "o3", "total": 1})
    assert orders.documents == {}
    assert [letter.record.offset for letter in orders.letters] == [0, 1, 2]
    assert "total: Field required" in orders.letters[0].message


def test_an_older_version_that_comes_late_changes_nothing():
    orders = projection(version_of="version")
    for version in (2, 3, 1):
        orders.send("o1", {"version": version})
    assert orders.documents["o1"]["_v"] == 3


def test_the_order_in_which_records_come_does_not_matter():
    orders = projection()
    for number in range(5):
        orders.send("o1", {"n": number})
    orders.send("o2", {"n": 0})
    orders.send("o2", None)
    assert fold(reversed(orders.records), orders.options) == orders.documents
    assert set(orders.documents) == {"o1"}
    assert orders.documents["o1"]["n"] == 4


def test_keys_of_both_kinds_may_be_mixed():
    orders = projection(record_key="json")
    orders.send(b"7", {"n": 1})
    orders.send(b'"7"', {"n": 2})
    assert {key: document["n"] for key, document in orders.documents.items()} == {7: 1, "7": 2}


def test_a_bare_null_takes_the_version_before_it_in_whatever_order_they_come():
    orders = projection(version_of="version")
    orders.send("o1", {"version": 5})
    orders.send("o1", None)
    orders.send("o1", {"version": 3})
    assert orders.documents == {}
    assert fold(reversed(orders.records), orders.options) == {}


def test_a_document_is_found_by_any_json_key():
    parts = projection(key_of=["tenant", "id"], record_key="json")
    parts.send({"id": 1, "tenant": "a"}, {"tenant": "a", "id": 1, "x": 5})
    parts.send({"id": 2, "tenant": "a"}, {"tenant": "a", "id": 2})
    parts.send({"tenant": "a", "id": 2}, None)
    assert parts.document({"tenant": "a", "id": 1.0})["x"] == 5
    assert list(parts.document({"tenant": "a", "id": 1})["_key"]) == ["tenant", "id"]
    assert len(parts.documents) == 1


def test_one_and_true_are_two_documents():
    flags = projection(record_key="json")
    for key in (1, True, 1.0, "1"):
        flags.send(key if key != "1" else b'"1"', {"key": repr(key)})
    assert [flags.document(key)["key"] for key in (1, True, "1")] == ["1.0", "True", "'1'"]


def test_an_append_only_projection_has_a_document_for_every_record():
    history = projection(write="insert", key_of="id")
    history.send("o1", {"id": "o1", "n": 1})
    history.send(None, {"id": "o1", "n": 2})
    history.send("o1", None)
    history.send("o1", b"[")
    history.send(None, None, partition=1)
    assert list(history.documents) == [0, 1, 2, 2**48]
    first, second, gone, nobody = history.documents.values()
    assert (first["n"], second["n"], first["_key"], second["_key"]) == (1, 2, "o1", "o1")
    assert (gone["_key"], gone["_deleted"], "id" in gone) == ("o1", True, False)
    assert (nobody["_key"], nobody["_deleted"]) == (None, True)
    assert len(history.letters) == 1
