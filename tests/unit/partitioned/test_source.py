import pytest
from hypothesis import given
from hypothesis import strategies as st

from prom_faust.exceptions import DecodeError
from prom_faust.lane.record import PlainRecord
from prom_faust.partitioned.source import carried, original

HEADERS = st.lists(st.tuples(st.sampled_from(["a", "x-prom-source", "x-prom-key"]), st.none() | st.binary()))


@given(HEADERS, st.text().filter(str.isprintable), st.none() | st.binary(), st.integers(0, 2**40))
def test_a_record_comes_out_as_it_went_in(headers, key, raw_key, offset):
    record = PlainRecord("t", 3, offset, 1_700_000_000_000, raw_key, b"value", tuple(headers))
    sent = PlainRecord("between", 1, 9, 5, raw_key, b"value", tuple(carried(record, key)))
    assert original(sent, "t") == (record, key)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("x-prom-key", b"k"),),
        (("x-prom-key", b"k"), ("x-prom-source", b"1:2:3")),
        (("x-prom-source", b"1:2"), ("x-prom-key", b"k")),
        (("x-prom-source", b"a:b:c"), ("x-prom-key", b"k")),
        (("x-prom-source", None), ("x-prom-key", b"k")),
        (("x-prom-source", b"1:2:3"), ("x-prom-key", b"\xff")),
        (("x-prom-source", b"1:2:3"), ("x-prom-key", b"k"), ("other", b"")),
    ],
)
def test_what_somebody_else_wrote_is_an_error(headers):
    with pytest.raises(DecodeError, match="offset 9 of between was not sent by us"):
        original(PlainRecord("between", 1, 9, 5, b"k", b"value", headers), "t")
