import time

import pytest

from prom_faust.ops.board import FORGET_SECONDS, Board
from prom_faust.ops.service import steady_clock
from prom_faust.ops.status import GroupStatus, WorkerStatus
from tests.support.clock import Clock


@pytest.fixture
def clock():
    return Clock(1000.0)


@pytest.fixture
def board(clock):
    return Board(clock, limit=3)


def status(worker):
    return WorkerStatus("shop", worker, interval=3.0)


def names(board):
    return [seen.status.worker for seen in board.workers()]


def silent(board):
    return [seen.status.worker for seen in board.workers() if seen.silent]


def test_a_worker_is_silent_after_five_intervals_without_a_word(board, clock):
    board.put("w1", status("w1"))
    clock.now += 15.0
    board.put("w2", status("w2"))
    assert silent(board) == []
    clock.now += 0.1
    board.put("w2", status("w2"))
    assert silent(board) == ["w1"]


def test_nobody_becomes_silent_while_nothing_at_all_is_heard(board, clock):
    board.put("w1", status("w1"))
    clock.now += 500.0
    assert silent(board) == []
    assert board.age == 500.0


def test_a_worker_that_speaks_again_is_silent_no_more(board, clock):
    board.put("w1", status("w1"))
    clock.now += 60.0
    board.put("w2", status("w2"))
    board.put("w1", status("w1"))
    assert silent(board) == []


def test_a_goodbye_takes_the_worker_away(board):
    board.put("w1", status("w1"))
    board.put("w1", None)
    assert names(board) == []


def test_a_status_that_was_read_late_counts_from_when_it_was_written(board, clock):
    board.put("w1", status("w1"), written_at=clock.now - 100.0)
    board.put("w2", status("w2"))
    assert silent(board) == ["w1"]


def test_a_writer_whose_clock_is_ahead_is_not_heard_from_in_the_future(board, clock):
    board.put("w1", status("w1"), written_at=clock.now + 100.0)
    assert board.age == 0.0


def test_a_worker_is_forgotten_after_an_hour_of_silence(board, clock):
    board.put("w1", status("w1"))
    clock.now += FORGET_SECONDS + 1
    assert board.forget() == ()
    board.put("w2", status("w2"))
    assert board.forget() == ("w1",)
    assert names(board) == ["w2"]


def test_of_too_many_workers_those_heard_last_are_kept(board):
    for worker in ("w1", "w2", "w3", "w1", "w4"):
        board.put(worker, status(worker))
    assert names(board) == ["w1", "w3", "w4"]


def test_before_anything_is_heard_there_is_no_age(board):
    assert board.age is None


def member(worker, member_id):
    return WorkerStatus(
        "shop", worker, groups=(GroupStatus("g", "streams", "shop", worker, member_id=member_id),)
    )


def test_who_had_an_id_of_kafka_is_known_after_it_has_another_one(board):
    board.put("w1", member("w1", "before"))
    board.put("w1", member("w1", ""))
    board.put("w1", member("w1", "now"))
    board.put("w1", None)
    assert board.names == {"before": "w1", "now": "w1"}


def test_of_too_many_ids_those_heard_last_are_kept(board):
    for number in range(30):
        board.put("w1", member("w1", f"id{number}"))
        board.put("w2", member("w2", "again"))
    assert list(board.names) == [*(f"id{number}" for number in range(7, 30)), "again"]


def test_a_clock_that_is_set_back_makes_nobody_silent(monkeypatch):
    board = Board(steady_clock())
    board.put("w1", status("w1"))
    before = board.workers()[0].at
    set_back = time.time() - 7_200
    monkeypatch.setattr(time, "time", lambda: set_back)
    board.put("w1", status("w1"))
    board.put("w2", status("w2"))
    assert silent(board) == []
    assert board.workers()[0].at >= before
