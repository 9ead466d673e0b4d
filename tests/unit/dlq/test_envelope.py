import pytest
from hypothesis import given
from hypothesis import strategies as st

from prom_faust.dlq.envelope import MESSAGE_LIMIT, DeadLetter, State, decode, dlq_topic, encode, letter_of
from prom_faust.exceptions import DecodeError, DocumentError, KeyMismatchError
from prom_faust.lane.record import PlainRecord

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
NAMES = TEXT | st.sampled_from(["x-dlq-headers", "x-dlq-attempts", "x-dlq-topic", "__connect.errors.topic"])
RECORDS = st.builds(
    PlainRecord,
    topic=TEXT,
    partition=st.integers(0, 2**15 - 1),
    offset=st.integers(0, 2**48 - 1),
    timestamp=st.integers(-1, 2**63 - 1),
    key=st.none() | st.binary(max_size=20),
    value=st.none() | st.binary(max_size=20),
    headers=st.lists(st.tuples(NAMES, st.none() | st.binary(max_size=9)), max_size=6).map(tuple),
)
LETTERS = st.builds(
    DeadLetter,
    record=RECORDS,
    consumer=TEXT,
    error_class=TEXT,
    message=TEXT,
    attempts=st.integers(1, 10**6),
    died_at=st.integers(0, 2**53),
    state=st.sampled_from(State),
    redacted=st.booleans(),
)


def published(letter):
    """The letter as it stands on its topic."""
    return PlainRecord("t.dlq", 0, 3, 9, letter.record.key, letter.record.value, tuple(encode(letter)))


def letter(record=None, **kwargs):
    record = record or PlainRecord("t", 1, 2, 3, b"k", b"v")
    return DeadLetter(record, "group", "some.Error", "a message", **kwargs)


@given(LETTERS)
def test_a_letter_comes_back_byte_for_byte(one):
    assert decode(published(one)) == one


@given(LETTERS)
def test_the_record_s_own_headers_stand_first_and_untouched(one):
    own = one.record.headers
    assert tuple(encode(one)[: len(own)]) == own


@given(LETTERS, st.sampled_from(State))
def test_a_letter_about_a_letter_comes_back_too(one, state):
    outer = DeadLetter(published(one), "other", "e", "m", 2, 5, state)
    again = decode(published(outer))
    assert again == outer
    assert decode(again.record) == one


def test_a_header_without_a_value_is_not_an_empty_one():
    headers = (("a", None), ("a", b""), ("a", b"1"))
    record = PlainRecord("t", 1, 2, 3, b"\xff\x00", None, headers)
    assert encode(letter(record))[:3] == list(headers)
    assert decode(published(letter(record))).record == record


def test_the_headers_that_are_added():
    assert encode(letter(PlainRecord("t", 1, 2, 3, headers=(("own", b"1"),)), attempts=4, died_at=5)) == [
        ("own", b"1"),
        ("x-dlq-headers", b"1"),
        ("x-dlq-topic", b"t"),
        ("x-dlq-partition", b"1"),
        ("x-dlq-offset", b"2"),
        ("x-dlq-timestamp", b"3"),
        ("x-dlq-consumer", b"group"),
        ("x-dlq-error-class", b"some.Error"),
        ("x-dlq-error-message", b"a message"),
        ("x-dlq-attempts", b"4"),
        ("x-dlq-died-at", b"5"),
        ("x-dlq-state", b"dead"),
        ("x-dlq-redacted", b"0"),
        ("x-dlq-empty", b"1"),
        ("__connect.errors.topic", b"t"),
        ("__connect.errors.partition", b"1"),
        ("__connect.errors.offset", b"2"),
        ("__connect.errors.connector.name", b"group"),
        ("__connect.errors.task.id", b"1"),
        ("__connect.errors.stage", b"TASK_PUT"),
        ("__connect.errors.class.name", b"prom_faust.sink"),
        ("__connect.errors.exception.class.name", b"some.Error"),
        ("__connect.errors.exception.message", b"a message"),
    ]


def test_the_dead_letter_topic_is_named_after_its_topic():
    assert dlq_topic("process.state") == "process.state.dlq"


def test_a_letter_says_what_the_error_was():
    record = PlainRecord("t", 1, 2, 3, b"k", b"v")
    assert letter_of(record, KeyMismatchError("no key"), consumer="g", died_at=7) == DeadLetter(
        record, "g", "prom_faust.exceptions.KeyMismatchError", "no key", 1, 7
    )


def test_a_letter_shows_the_class_of_the_cause():
    error = DocumentError("ZeroDivisionError: division")
    error.__cause__ = ZeroDivisionError("division")
    one = letter_of(PlainRecord("t", 0, 0), error, consumer="g", died_at=0)
    assert one.error_class == "builtins.ZeroDivisionError"
    assert one.message == "ZeroDivisionError: division"


def test_a_long_message_is_cut():
    one = letter_of(PlainRecord("t", 0, 0), DecodeError("x" * 10_000), consumer="g", died_at=0)
    assert one.message == "x" * MESSAGE_LIMIT


def test_a_message_that_is_no_unicode_text_is_written_all_the_same():
    one = letter_of(PlainRecord("t", 0, 0), DecodeError("bad \udcff"), consumer="g", died_at=0)
    assert decode(published(one)).message == "bad \\udcff"


@pytest.mark.parametrize(
    ("values", "attempts"),
    [
        ([], 1),
        ([b"1"], 2),
        ([b"41"], 42),
        ([b"7", b"3"], 4),
        ([None], 1),
        ([b""], 1),
        ([b"-1"], 1),
        ([b"many"], 1),
        ([b"9" * 5000], 1),
    ],
)
def test_attempts_count_on_from_the_header(values, attempts):
    headers = tuple(("x-dlq-attempts", value) for value in values)
    record = PlainRecord("t", 0, 0, headers=headers)
    assert letter_of(record, DecodeError("no"), consumer="g", died_at=0).attempts == attempts


def test_a_replay_that_fails_again_counts_its_attempts():
    first = letter_of(PlainRecord("t", 0, 0), DecodeError("no"), consumer="g", died_at=0)
    second = letter_of(published(first), DecodeError("no"), consumer="g", died_at=1)
    assert (first.attempts, second.attempts) == (1, 2)


@pytest.mark.parametrize("missing", [name for name, _ in encode(letter()) if name.startswith("x-dlq-")])
def test_a_record_that_lacks_a_header_of_ours_is_no_letter(missing):
    headers = tuple(pair for pair in encode(letter()) if pair[0] != missing)
    with pytest.raises(DecodeError, match="no dead letter"):
        decode(PlainRecord("t.dlq", 0, 3, headers=headers))


@pytest.mark.parametrize("name", ["headers", "partition", "offset", "timestamp", "attempts", "died-at"])
@pytest.mark.parametrize("value", [b"x", b"", None, b"\xff", b"9" * 5000])
def test_a_header_of_ours_that_is_no_number_makes_no_letter(name, value):
    headers = (*encode(letter()), (f"x-dlq-{name}", value))
    with pytest.raises(DecodeError, match=r"offset 3 of t\.dlq"):
        decode(PlainRecord("t.dlq", 0, 3, headers=headers))


def test_any_record_may_stand_on_a_dead_letter_topic():
    with pytest.raises(DecodeError, match="no dead letter"):
        decode(PlainRecord("t.dlq", 0, 3))
