"""What is said of one key, for every way in which expected and found can disagree."""

import pytest

from prom_faust.sink.order import position_of, rank_of
from prom_faust.sink.verify.compare import Facts, differing_fields, judge
from prom_faust.sink.verify.fold import Outcome
from prom_faust.sink.verify.report import Kind

GONE_FOR_A_LATER_ONE = Facts(known=False, later=9)
IN_THE_LOG = Facts(known=True)


def document(offset, *, version=None, **fields):
    system = {"_ts": 1, "_src": {"t": "t", "p": 0, "o": offset, "n": position_of(0, offset)}}
    return {"_key": "a", **fields, **system, **({} if version is None else {"_v": version})}


def marker(offset, **fields):
    return {**document(offset, **fields), "_deleted": True, "_deleted_at": 1}


def live(offset, version=None):
    return Outcome("a", offset, deletes=False, rank=rank_of(offset, version, versioned=version is not None))


def deleted(offset):
    return Outcome("a", offset, deletes=True, rank=(offset,))


def kind(*args, versioned=False, **options):
    finding = judge(*args, versioned=versioned, **options)
    return None if finding is None else finding[0]


def test_equal_documents_agree_whatever_the_order_of_their_fields():
    found = dict(reversed(document(5, x=1).items()))
    assert kind(live(5), document(5, x=1), [found], IN_THE_LOG) is None


def test_no_document_is_missing():
    assert kind(live(5), document(5), [], Facts()) is Kind.MISSING


def test_a_marker_where_a_document_should_stand_is_missing():
    assert kind(live(5), document(5), [marker(3)], IN_THE_LOG) is Kind.MISSING


def test_a_document_that_was_deleted_is_extra():
    assert kind(deleted(9), None, [document(5)], IN_THE_LOG) is Kind.EXTRA


def test_a_marker_of_a_deleted_key_agrees():
    assert kind(deleted(9), None, [marker(9)], IN_THE_LOG) is None


def test_a_document_without_a_source_is_extra():
    assert kind(None, None, [{"_key": "a", "x": 1}], Facts()) is Kind.EXTRA


def test_other_content_is_different_and_names_the_fields():
    found, reason = judge(live(5), document(5, x=1), [document(5, x=2)], IN_THE_LOG, versioned=False)
    assert (found, reason) == (Kind.DIFFERENT, "x: expected 1, found 2")


def test_an_older_document_is_different_though_its_record_is_gone():
    assert kind(live(9), document(9), [document(5)], GONE_FOR_A_LATER_ONE) is Kind.DIFFERENT


def test_two_documents_of_one_key_are_different():
    assert kind(live(5), document(5), [document(5), document(5)], IN_THE_LOG) is Kind.DIFFERENT


def test_a_document_is_retained_when_the_cleaner_took_its_record_for_a_dead_lettered_one():
    assert kind(None, None, [document(5)], GONE_FOR_A_LATER_ONE) is Kind.RETAINED


def test_a_document_is_retained_when_the_cleaner_took_its_record_for_one_of_a_lower_version():
    stands = document(5, version=7)
    assert kind(live(9, 3), document(9, version=3), [stands], GONE_FOR_A_LATER_ONE, versioned=True) is (
        Kind.RETAINED
    )


def test_a_marker_is_retained_when_the_cleaner_took_its_record_for_one_of_a_lower_version():
    stands = marker(5, version=7)
    assert kind(live(9, 3), document(9, version=3), [stands], GONE_FOR_A_LATER_ONE, versioned=True) is (
        Kind.RETAINED
    )


def test_a_document_of_a_record_that_no_later_one_replaced_is_extra():
    assert kind(None, None, [document(5)], Facts(known=False, later=None)) is Kind.EXTRA


def test_a_document_of_a_dead_lettered_record_is_extra():
    facts = Facts(known=True, dead=True, later=9)
    assert kind(None, None, [document(5)], facts) is Kind.EXTRA


def test_a_document_behind_what_was_read_is_moving():
    assert kind(live(5), document(5), [document(8)], Facts(ahead=True)) is Kind.MOVING


def test_a_document_behind_the_logs_end_is_different():
    assert kind(live(5), document(5), [document(8)], Facts(ahead=True, beyond=True)) is Kind.DIFFERENT


@pytest.mark.parametrize(
    ("left", "right"), [(1, 1.0), (1, True), ("1", 1), (None, 0), ([1], [1, 1]), ({"a": 1}, {"a": 1.0})]
)
def test_values_of_different_types_differ(left, right):
    assert differing_fields({"x": left}, {"x": right})


def test_not_a_number_equals_itself():
    assert not differing_fields({"x": [float("nan")]}, {"x": [float("nan")]})


def test_an_absent_field_is_not_a_null_one():
    assert differing_fields({}, {"x": None}) == ["x: expected nothing, found None"]


def test_fields_of_other_writers_are_free_when_the_sink_sets_its_own():
    assert not differing_fields({"_key": "a", "x": 1}, {"_key": "a", "x": 1, "other": 2}, owned=["x"])


def test_an_own_field_that_should_be_absent_differs():
    assert differing_fields({"_key": "a"}, {"_key": "a", "x": 1}, owned=["x"])
