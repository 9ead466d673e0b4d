import inspect

import pytest

from prom_faust import exceptions
from prom_faust.exceptions import PromFaustError, WriteRejectedError

CLASSES = {
    name: value
    for name, value in vars(exceptions).items()
    if inspect.isclass(value) and name.endswith("Error")
}


def drawn():
    """The tree in the module's docstring: name to (parent, retryable)."""
    lines = [line for line in exceptions.__doc__.splitlines() if line.split(" ")[-1:] and "Error" in line]
    tree, path = {}, []
    for line in lines:
        before, word, after = line.partition(next((w for w in line.split() if w in CLASSES), "\0"))
        if not word:
            continue
        depth = (len(before) - 4) // 4
        path[depth:] = [word]
        tree[word] = path[depth - 1] if depth else None, after.split()[:1] == ["R"]
    return tree


def test_the_drawn_tree_is_the_class_tree():
    actual = {name: value.__base__.__name__ for name, value in CLASSES.items()}
    assert {name: parent for name, (parent, _) in drawn().items() if parent} == {
        name: parent for name, parent in actual.items() if name != "PromFaustError"
    }
    assert drawn()["PromFaustError"] == (None, False)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_the_drawn_r_says_whether_a_retry_can_help(name):
    assert drawn()[name][1] is CLASSES[name].retryable


def test_every_error_is_public_and_documented():
    assert exceptions.__all__ == sorted(CLASSES)
    assert all(value.__doc__ for value in CLASSES.values())
    assert all(issubclass(value, PromFaustError) for value in CLASSES.values())


def test_a_rejected_write_carries_mongodb_s_code():
    assert WriteRejectedError("no", code=121).code == 121
    assert str(WriteRejectedError("no")) == "no"
