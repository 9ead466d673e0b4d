"""Scores of a process's samples: what is usual for it is low, whatever that is, and a jump is high."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from agents.anomaly import Model, Models
from agents.settings import Settings

WINDOW = Settings.model_fields["analysis_window"].default
HIGH = Settings.model_fields["finding_above"].default
SCRIPT = Path(__file__).parents[3] / "agents" / "anomaly.py"


def idle(rng, number):
    return (0.0 if rng.random() < 0.9 else rng.random() * 2, 100 + rng.random())


def steady(rng, number):
    return 95 + rng.random() * 8, 500 + rng.random() * 5


def periodic(rng, number):
    return 60.0 if number % 20 < 3 else 1 + rng.random(), 200.0


def growing(rng, number):
    return 2 + rng.random(), 100 + number * 0.5


def still(rng, number):
    return 0.0, 50.0


def restless(rng, number):
    return rng.random() * 100, 100 + rng.random() * 20


def learnt(habit, samples=300):
    rng = random.Random(5)
    model = Model(WINDOW)
    return model, [model.score(*habit(rng, number)) for number in range(samples)]


def test_there_is_no_score_before_two_windows_are_known():
    _, scores = learnt(idle)
    assert scores[: 2 * WINDOW] == [None] * (2 * WINDOW)
    assert None not in scores[2 * WINDOW :]


@pytest.mark.parametrize("habit", [idle, steady, periodic, growing, still])
def test_what_is_usual_for_a_process_is_low(habit):
    _, scores = learnt(habit)
    assert sum(score >= HIGH for score in scores[2 * WINDOW :]) <= 1
    assert all(0 <= score <= 1 for score in scores[2 * WINDOW :])


def test_a_process_of_no_habit_is_seldom_found():
    _, scores = learnt(restless, 2_000)
    assert sum(score >= HIGH for score in scores[2 * WINDOW :]) < 0.03 * 2_000


@pytest.mark.parametrize("habit", [idle, growing, still])
def test_a_jump_of_cpu_is_high(habit):
    model, _ = learnt(habit)
    assert model.score(95.0, habit(random.Random(6), 300)[1]) >= HIGH


@pytest.mark.parametrize("habit", [steady, still, growing])
def test_a_jump_of_memory_is_high(habit):
    model, _ = learnt(habit)
    cpu, mem = habit(random.Random(6), 300)
    assert model.score(cpu, mem * 4) >= HIGH


def test_what_goes_on_becomes_the_habit():
    model, _ = learnt(idle)
    scores = [model.score(95.0, 100.0) for _ in range(6 * WINDOW)]
    assert scores[0] >= HIGH
    assert max(scores[3 * WINDOW :]) < HIGH / 2


def test_the_same_samples_have_the_same_scores():
    assert learnt(idle)[1] == learnt(idle)[1]


def test_of_a_partition_the_models_used_last_are_kept():
    models = Models(WINDOW, 3)
    for key in "abcd":
        models.score(0, key, 1.0, 1.0)
        models.score(0, "a", 1.0, 1.0)
    assert len(models) == 3
    assert [models.score(0, key, 1.0, 1.0)["samples"] for key in "acdb"] == [6, 2, 2, 1]


def test_a_full_partition_takes_no_room_of_another():
    models = Models(WINDOW, 2)
    models.score(1, "kept", 1.0, 1.0)
    for number in range(10):
        models.score(0, f"p{number}", 1.0, 1.0)
    assert models.score(1, "kept", 1.0, 1.0)["samples"] == 2
    assert len(models) == 3


def test_models_of_partitions_that_are_gone_are_dropped():
    models = Models(WINDOW, 9)
    for partition in range(4):
        models.score(partition, "p", 1.0, 1.0)
    models.keep([1, 3])
    assert len(models) == 2
    assert [models.score(partition, "p", 1.0, 1.0)["samples"] for partition in range(4)] == [1, 2, 1, 2]


def test_the_script_answers_each_sample_with_a_line_until_its_input_ends():
    requests = [
        {"partition": 0, "key": "p", "cpu": 1.0, "mem": 1.0},
        {"partition": 0, "key": "p", "cpu": 1.0, "mem": 1.0},
        {"keep": [1]},
        {"partition": 0, "key": "p", "cpu": 1.0, "mem": 1.0},
    ]
    done = subprocess.run(
        [sys.executable, "-P", SCRIPT, str(WINDOW), "9"],
        input="".join(json.dumps(request) + "\n" for request in requests),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert [json.loads(line)["samples"] for line in done.stdout.splitlines()] == [1, 2, 1]
    assert done.stderr == ""
