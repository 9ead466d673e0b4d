"""A high score is told once, and again only after it was low."""

import pytest

from agents.alarm import Alarms, Levels, judge

LEVELS = Levels(high=0.6, low=0.3)


@pytest.mark.parametrize(
    ("score", "raised", "news"),
    [
        (None, False, None),
        (None, True, None),
        (0.599, False, None),
        (0.6, False, "raised"),
        (1.0, True, None),
        (0.301, True, None),
        (0.3, True, "cleared"),
        (0.0, False, None),
    ],
)
def test_what_a_score_changes(score, raised, news):
    assert judge(score, raised=raised, levels=LEVELS) == news


def told(scores, alarms, partition=0, key="p"):
    said = []
    for number, score in enumerate(scores):
        news = alarms.judge(partition, key, score)
        if news is not None:
            alarms.note(partition, key, news)
            said.append((number, news))
    return said


def test_a_score_that_swings_about_one_level_is_told_once():
    assert told([0.1, 0.6, 0.59, 0.61, 0.31, 0.7, 0.2, 0.1, 0.6], Alarms(LEVELS, 9)) == [
        (1, "raised"),
        (6, "cleared"),
        (8, "raised"),
    ]


def test_what_was_not_noted_comes_again():
    alarms = Alarms(LEVELS, 9)
    assert [alarms.judge(0, "p", 0.9) for _ in range(2)] == ["raised", "raised"]


def test_processes_and_partitions_have_alarms_of_their_own():
    alarms = Alarms(LEVELS, 9)
    for partition, key in [(0, "p"), (0, "q"), (1, "p")]:
        assert told([0.9, 0.9], alarms, partition, key) == [(0, "raised")]


def test_the_oldest_alarm_of_a_full_partition_is_forgotten():
    alarms = Alarms(LEVELS, 3)
    for number in range(10):
        told([0.9], alarms, 0, f"p{number}")
    assert len(alarms) == 3
    assert [key for key in (f"p{n}" for n in range(10)) if alarms.judge(0, key, 0.9) is None] == [
        "p7",
        "p8",
        "p9",
    ]


def test_alarms_of_partitions_that_are_gone_are_forgotten():
    alarms = Alarms(LEVELS, 9)
    for partition in range(4):
        told([0.9], alarms, partition)
    alarms.keep({1, 3})
    assert [alarms.judge(partition, "p", 0.9) for partition in range(4)] == ["raised", None, "raised", None]
