"""When documents are inserted, and when not any more."""

from prom_faust.sink.novelty import MEMORY, Novelty


def novelty(*bulks):
    found = Novelty()
    for written, new in bulks:
        found.saw(written, new)
    return found


def test_nothing_is_likely_before_anything_was_seen():
    assert not novelty().likely
    assert not novelty((0, 0)).likely


def test_one_full_bulk_is_enough_to_know():
    assert novelty((MEMORY, MEMORY)).likely
    assert novelty((MEMORY, 450)).likely
    assert not novelty((MEMORY, 449)).likely
    assert not novelty((MEMORY, MEMORY), (MEMORY, 400)).likely


def test_single_documents_need_a_long_row_of_their_like():
    assert not novelty(*[(1, 1)] * 100).likely
    assert novelty(*[(1, 1)] * 3 * MEMORY).likely
    mixed = [(1, number % 2) for number in range(10 * MEMORY)]
    assert not any(novelty(*mixed[:length]).likely for length in range(0, len(mixed), 97))


def test_markers_alone_say_nothing():
    assert novelty((MEMORY, MEMORY), *[(0, 0)] * 50).likely
