"""What of a projection's options can be seen to have changed."""

from dataclasses import replace

import pytest
from pydantic import BaseModel

from prom_faust.sink.options import ChangelogOptions, Index
from prom_faust.sink.rebuild.shadow.fingerprint import fingerprint


class Order(BaseModel):
    status: str


def shorter():
    class Order(BaseModel):
        pass

    return Order


def other(event):
    return event


BASE = ChangelogOptions(topic="t", collection="c", map=["a"], indexes=["a"])


@pytest.mark.parametrize(
    "changed",
    [
        {"topic": "u"},
        {"group": "g"},
        {"map": ["a", "b"]},
        {"map": Order},
        {"map": other},
        {"model": Order},
        {"key_of": "id"},
        {"version_of": "v"},
        {"tombstone": other},
        {"record_key": "json"},
        {"routing": "jump"},
        {"compacted": False},
        {"write": "set"},
        {"indexes": ["b"]},
        {"indexes": [Index({"a": 1}, unique=True)]},
    ],
    ids="-".join,
)
def test_what_decides_the_documents_changes_it(changed):
    assert fingerprint(replace(BASE, **changed)) != fingerprint(BASE)


def test_a_models_fields_count():
    assert fingerprint(replace(BASE, model=Order)) != fingerprint(replace(BASE, model=shorter()))


@pytest.mark.parametrize("changed", [{"size": 7}, {"window": 7}, {"indexes": [Index({"a": 1})]}], ids=str)
def test_what_does_not_decide_them_does_not(changed):
    assert fingerprint(replace(BASE, **changed)) == fingerprint(BASE)


def test_two_functions_of_one_name_are_not_told_apart():
    maps = [lambda event, n=n: {"n": n} for n in range(2)]
    one, two = (fingerprint(replace(BASE, map=each)) for each in maps)
    assert one == two
