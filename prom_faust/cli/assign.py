"""``faust -A APP assign plan``: what a change of workers or partitions would move, before anybody makes it."""

import asyncio
import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NoReturn

import click
from faust.cli.base import State

from prom_faust.app import Prom
from prom_faust.assignment.homes import Subscriber
from prom_faust.assignment.plan import Change, parse_growth, parse_member, plan
from prom_faust.assignment.rendezvous import Member
from prom_faust.cli.plan import show
from prom_faust.cli.plugin import prom_of
from prom_faust.exceptions import ConfigurationError, PromFaustError
from prom_faust.ops.groups import GroupState
from prom_faust.ops.kafka import count_partitions, describe_group

__all__ = ["assign"]

FAILED = 2
"""Exit code where there is no plan."""


@click.group(help="See where partitions are, and where they would go.")
def assign() -> None:
    """Group the commands."""


@dataclass(frozen=True, slots=True)
class Now:
    """The group of which one asks.

    Attributes:
        group: its id.
        protocol: what it assigns by at the moment; empty where it does not run.
        subscribers: its members.
        partitions: topic to its number of partitions.
    """

    group: str
    protocol: str
    subscribers: tuple[Subscriber, ...]
    partitions: Mapping[str, int]


@assign.command("plan")
@click.option("--group", help="The consumer group; the app's own by default.")
@click.option(
    "--add", multiple=True, metavar="NAME[=WEIGHT]", help="Who joins, or changes its weight; repeatable."
)
@click.option("--remove", multiple=True, metavar="NAME", help="Who leaves; repeatable.")
@click.option("--grow", multiple=True, metavar="TOPIC=N", help="A topic with so many partitions; repeatable.")
@click.option("--members", metavar="A,B=WEIGHT,...", help="Who is there now, instead of asking the broker.")
@click.option(
    "--standbys", type=click.IntRange(min=0), help="Standbys of every partition; as the app has it."
)
@click.option("--load-factor", type=click.FloatRange(min=1), help="As the app has it by default.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def plan_command(
    context: click.Context,
    group: str | None,
    add: Collection[str],
    remove: Collection[str],
    grow: Collection[str],
    members: str | None,
    standbys: int | None,
    load_factor: float | None,
    as_json: bool,
) -> None:
    """Say which partitions would move if workers came or went, or topics got more partitions.

    Nothing is changed. Exit code 0: there is a plan; 2: there is none, and why.
    """
    if not context.ensure_object(State).debug:
        # A broker that is down is said once, by us.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)
    try:
        change = Change(
            tuple(parse_member(text) for text in add),
            tuple(remove),
            dict(parse_growth(text) for text in grow),
        )
        given = None if members is None else [parse_member(text) for text in members.split(",")]
        prom = prom_of(context)
        own = str(prom.app.conf.id)
        now = asyncio.run(_now(prom, group or own, given))
        if standbys is None:
            standbys = int(prom.app.conf.table_standby_replicas) if now.group == own else 0
        found = plan(
            now.subscribers,
            now.partitions,
            change,
            standbys=standbys,
            load_factor=load_factor or prom.settings.load_factor,
        )
    except PromFaustError as error:
        _fail(context, str(error))
    if as_json or context.ensure_object(State).json:
        click.echo(json.dumps({"group": now.group, "protocol": now.protocol, **found.as_json()}))
    else:
        show(found, now.group, now.protocol)


async def _now(prom: Prom, group: str, given: Collection[Member] | None) -> Now:
    state = await describe_group(prom.clients, group)
    if given is None:
        return Now(group, state.protocol, _members_of(state), state.counts)
    topics = _topics_of(prom, state)
    partitions = await count_partitions(prom.clients, topics)
    if not partitions:
        raise ConfigurationError(
            f"no topic of group {group} is on the broker yet; the app would read: "
            f"{', '.join(sorted(topics)) or 'none'}"
        )
    return Now(
        group,
        state.protocol,
        tuple(Subscriber(member, frozenset(partitions)) for member in given),
        partitions,
    )


def _members_of(state: GroupState) -> tuple[Subscriber, ...]:
    found = tuple(
        Subscriber(Member(member.name, member.weight), frozenset(member.topics))
        for member in state.members
        if member.refused is None
    )
    if not found:
        raise ConfigurationError(
            f"group {state.group} has no members: start its workers, or say who they would be with --members a,b"
        )
    return found


def _topics_of(prom: Prom, state: GroupState) -> set[str]:
    """What the group reads, as far as that is known: from its members, else its offsets, else the app."""
    known = {topic for member in state.members for topic in member.topics}
    known = known or {each.topic for each in state.partitions}
    if known:
        return known
    lanes = {
        lane.options.group: lane.options.topic
        for lane in (*prom.lanes.values(), *(each.lane for each in prom.projections.values()))
    }
    if state.group in lanes:
        return {lanes[state.group]}
    if state.group != str(prom.app.conf.id):
        return set()
    return {
        *(topic for agent in prom.app.agents.values() for topic in agent.get_topic_names()),
        *(table.changelog_topic.get_topic_name() for table in prom.app.tables.values()),
    }


def _fail(context: click.Context, message: str) -> NoReturn:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    context.exit(FAILED)
