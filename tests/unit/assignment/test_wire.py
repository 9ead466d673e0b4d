import zlib

import pytest

from prom_faust.assignment.wire import Decision, Identity, decode_decision, decode_identity, encode

IDENTITY = Identity("w1", 2.0, 1_700_000_000_000, "abc", "http://127.0.0.1:6066")
DECISION = Decision(
    active={"orders": (0, 3)}, standby={"orders": (1,)}, members=("w1", "w2"), extra={"any": ["json", None]}
)


def framed(text):
    return b"PF\x01" + zlib.compress(text.encode())


@pytest.mark.parametrize("value", [IDENTITY, Identity("é🦜"), Identity("")])
def test_an_identity_arrives_as_it_was_sent(value):
    assert decode_identity(encode(value)) == value


@pytest.mark.parametrize("value", [DECISION, Decision({}, {}, (), refused="another worker has the name w1")])
def test_a_decision_arrives_as_it_was_sent(value):
    assert decode_decision(encode(value)) == value


def test_the_frame_is_a_magic_number_and_compressed_json():
    frame = encode(Identity("w1", 1.0, 5, "p", "u"))
    assert frame[:3] == b"PF\x01"
    assert zlib.decompress(frame[3:]) == b'{"name":"w1","weight":1.0,"started":5,"process":"p","url":"u"}'


def test_what_an_older_or_newer_version_says_is_understood():
    assert decode_identity(framed('{"name": "w1", "new": 1}')) == Identity("w1")
    assert decode_decision(framed('{"active": {}, "standby": {}, "members": ["a"]}')) == Decision(
        {}, {}, ("a",)
    )


@pytest.mark.parametrize(
    "frame",
    [
        None,
        b"",
        b"PF\x01",
        b"PF\x02" + encode(IDENTITY)[3:],
        encode(IDENTITY)[3:],
        encode(IDENTITY)[:-4],
        b"PF\x01not zlib",
        framed("not json"),
        framed("[]"),
        framed('{"weight": 1.0}'),
        framed('{"name": 1}'),
        framed('{"name": "w1", "weight": "heavy"}'),
        b"\x00\x00\x00\x01faust",
    ],
)
def test_anything_else_is_none_and_never_an_error(frame):
    assert decode_identity(frame) is None
    assert decode_decision(frame) is None


def test_one_is_not_taken_for_the_other():
    assert decode_identity(encode(DECISION)) is None
    assert decode_decision(encode(IDENTITY)) is None


def test_two_thousand_partitions_are_a_small_frame():
    # The broker keeps every member's assignment in a record of __consumer_offsets, of 1 MB at most.
    large = Decision({"orders": tuple(range(2_000))}, {}, tuple(f"worker-{n}" for n in range(50)))
    assert len(encode(large)) < 8_000
