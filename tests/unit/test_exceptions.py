import inspect
import pickle

import click
import pytest

from prom_faust import exceptions
from prom_faust.exceptions import ConfigurationError, PromFaustError, TopicError, WriteRejectedError

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
    assert exceptions.__all__ == sorted(exceptions.__all__)
    assert {name for name in exceptions.__all__ if name.endswith("Error")} == CLASSES.keys()
    assert all(value.__doc__ for value in CLASSES.values())
    assert all(issubclass(value, PromFaustError) for value in CLASSES.values())


def test_a_rejected_write_carries_mongodb_s_code():
    assert WriteRejectedError("no", code=121).code == 121
    assert str(WriteRejectedError("no")) == "no"


@click.command()
@click.argument("text")
def failing(text):
    raise TopicError(text)


def test_click_shows_a_configuration_error_in_one_line_and_exits_with_1(capsys):
    with pytest.raises(SystemExit) as ended:
        failing.main(["topics are missing:\n  a\n  b"])
    assert ended.value.code == 1
    assert capsys.readouterr().err == "Error: topics are missing: a b\n"


def test_a_configuration_error_is_an_exception_like_any_other():
    error = ConfigurationError("a\nb")
    assert (str(error), error.args, repr(error)) == ("a\nb", ("a\nb",), "ConfigurationError('a\\nb')")
    with pytest.raises(PromFaustError, match="a\nb"):
        raise error


@pytest.mark.parametrize("kind", [ConfigurationError, *ConfigurationError.__subclasses__()])
def test_a_configuration_error_survives_pickling(kind):
    copy = pickle.loads(pickle.dumps(kind("what to do")))
    assert (type(copy), str(copy), copy.args) == (kind, "what to do", ("what to do",))
