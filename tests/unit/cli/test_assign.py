import pytest
from click.testing import CliRunner

from prom_faust.assignment.homes import Subscriber
from prom_faust.assignment.plan import Change, plan
from prom_faust.assignment.rendezvous import Member
from prom_faust.cli.assign import assign
from prom_faust.cli.plan import show


def printed(capsys, change, *, partitions=12, names=("w1", "w2"), protocol="prom-rendezvous", standbys=0):
    members = [Subscriber(Member(name), frozenset({"orders"})) for name in names]
    show(plan(members, {"orders": partitions}, change, standbys=standbys), "hub", protocol)
    return capsys.readouterr().out


def rows(text):
    """What is in the cells of every line."""
    return [
        [cell.strip() for cell in line.strip().removeprefix("│").removesuffix("│").split("│")]
        for line in text.splitlines()
    ]


def test_every_move_is_listed_with_from_and_to(capsys):
    text = printed(capsys, Change(remove=("w2",)), standbys=1)
    moves = [row for row in rows(text) if row[0].startswith("orders-")]
    assert moves
    assert {tuple(row[1:]) for row in moves} == {("w2", "w1", "warm")}
    assert "group hub" in text
    assert f"{len(moves)}  partitions move; {len(moves)} of them to a standby, warm" in text
    assert f"{len(moves)}  have to move" in text


def test_members_are_listed_with_now_and_then(capsys):
    text = printed(capsys, Change(add=(Member("w3"),), remove=("w2",)))
    table = {row[0]: row[1:] for row in rows(text) if row[0] in {"w1", "w2", "w3"} and len(row) == 5}
    assert table["w2"][1] == ""
    assert table["w3"][0] == ""
    assert int(table["w1"][0]) + int(table["w2"][0]) == 12
    assert int(table["w1"][1]) + int(table["w3"][1]) == 12


def test_many_moves_are_counted_from_member_to_member(capsys):
    text = printed(capsys, Change(remove=("w3",)), partitions=300, names=("w1", "w2", "w3"))
    assert "orders-" not in text
    assert {tuple(row[:2]) for row in rows(text) if row[0] == "w3" and not row[1].isdecimal()} == {
        ("w3", "w1"),
        ("w3", "w2"),
    }


def test_growth_tells_the_share_of_keys(capsys):
    text = printed(capsys, Change(grow={"orders": 16}))
    assert "25.0%  of the keys of orders" in text
    assert "4  partitions are new" in text


def test_a_group_with_another_protocol_is_told_so(capsys):
    assert "The group's protocol is range" in printed(capsys, Change(), protocol="range")
    assert "The group's protocol" not in printed(capsys, Change())
    assert "The group's protocol" not in printed(capsys, Change(), protocol="")


def test_a_topic_that_nobody_would_read_is_told(capsys):
    members = [
        Subscriber(Member("w1"), frozenset({"orders"})),
        Subscriber(Member("w2"), frozenset({"audit"})),
    ]
    show(plan(members, {"orders": 2, "audit": 2}, Change(remove=("w2",))), "hub", "")
    assert "Nobody would read audit any more." in capsys.readouterr().out


def test_names_are_no_markup(capsys):
    text = printed(capsys, Change(), names=("[red]w1[/]", "w2"))
    assert "[red]w1[/]" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--add", "w4=x"], "write NAME, or NAME=WEIGHT"),
        (["--members", "a,,b"], "write NAME, or NAME=WEIGHT"),
        (["--grow", "orders"], "write TOPIC=N"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_exit_code_2(options, message):
    done = CliRunner().invoke(assign, ["plan", *options])
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize("options", [["--standbys", "-1"], ["--load-factor", "0.5"], ["--nonsense"]])
def test_options_out_of_range_are_refused(options):
    assert CliRunner().invoke(assign, ["plan", *options]).exit_code == 2
