"""`relay replay` and `relay replays`: asking for one, how they go on, and ending one."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from relay.commands.output import print_json, print_table, progress
from relay.commands.usage import COUNT, TIME, Failure, Family
from relay.commands.with_journal import Session, on_journal
from relay.model.messages import EndpointKey
from relay.model.replays import Pick, ReplayOrder, ReplayRecord, RequestedReplay, Survey
from relay.model.times import moment

_COLUMNS = (
    *("replay", "endpoint", "since", "until", "asked", "state"),
    *("pending", "delivered", "dead letters"),
)


@click.group(name="replays", cls=Family)
def command() -> None:
    """Look at replays, and end one of them."""


def _show_list(found: Any) -> None:
    now = time.time()
    print_table(_COLUMNS, [_row(record, now) for record in found.replays])


def _row(record: ReplayRecord, now: float) -> tuple[str, ...]:
    if record.ended_at is None:
        state = f"{record.looked_through:.0%} looked through"
    else:
        state = f"{'cancelled' if record.cancelled else 'ended'} {moment(record.ended_at, now)}"
    since = moment(record.since, now) if record.since else "the first"
    return (
        *(str(record.number), str(record.endpoint), since, moment(record.until, now)),
        *(moment(record.asked_at, now), state),
        *(str(record.pending), str(record.delivered), str(record.dead)),
    )


@command.command("list")
@on_journal(_show_list)
async def list_replays(session: Session) -> Any:
    """List replays, the newest first: how much has been looked through, and what came of it."""
    return await session.admin.replays()


def _show_end(record: ReplayRecord) -> None:
    if record.cancelled:
        soon = "a running relay takes notice within 5 seconds"
        click.echo(f"replay {record.number} cancelled; {soon}")
    else:
        click.echo(f"replay {record.number} had ended already")


@command.command()
@click.argument("number", type=COUNT)
@on_journal(_show_end)
async def cancel(session: Session, number: int) -> Any:
    """Send no more of the replay NUMBER; what has been sent has been sent."""
    record = await session.store.cancel_replay(number, time.time())
    if record is None:
        raise Failure(f"NUMBER: {number}: the journal knows no such replay")
    return record


def _mistakes(asked: Mapping[str, Any]) -> Iterator[str]:
    if asked["until"] is not None and asked["until"] <= asked["since"]:
        yield "--until: expected a time after --since"


@click.command(name="replay")
@click.option(
    "--since",
    type=TIME,
    metavar="T",
    required=True,
    help="From this time on: 2026-11-22T09:30:00Z, 2026-11-22 (at 00:00 UTC), or 2h (ago).",
)
@click.option("--until", type=TIME, metavar="T", help="Up to this time; default: now.")
@click.option("--endpoint", metavar="NAME", required=True, help="To this endpoint: NAME, BOT/NAME.")
@click.option("--bot", metavar="NAME", help="The endpoint's bot, if several have that name.")
@click.option("--dry-run", is_flag=True, help="Only count the messages.")
@on_journal(mistakes=_mistakes)
async def replay(
    session: Session, *, endpoint: str, bot: str | None, dry_run: bool, **times: Any
) -> None:
    """Send an endpoint again what the journal still holds, for a receiver that lost its data.

    These are the messages that came, or were delivered to it, in that time, and that its filters
    let through today; not those that it is still owed. Each request has the header relay-replay.
    READ and dead letters stay as they are. `relay replays` shows how it goes on.
    """
    key = await session.endpoint(endpoint, bot=bot, parameter="--endpoint")
    order = ReplayOrder(key, **times)
    messages = await _count(session, order, _pick(session, key))
    asked = None if dry_run else await _ask(session, order)
    if session.as_json:
        _print_document(key, messages, asked)
    elif asked is None:
        click.echo(f"{messages} messages would go to {key} again")
    else:
        begins = "a running relay begins within 5 seconds"
        click.echo(f"replay {asked.replay.number}: {messages} messages to {key}; {begins}")


def _pick(session: Session, endpoint: EndpointKey) -> Pick:
    from relay.config.policies import routing

    for bot in session.settings.bots:
        if bot.name == endpoint.bot and endpoint.name in {each.name for each in bot.endpoints}:
            return routing(bot).pick(endpoint)
    raise _not_configured(endpoint)


async def _count(session: Session, order: ReplayOrder, pick: Pick) -> int:
    survey = Survey()
    with progress("messages") as (begin, advance):
        while not survey.whole:
            before, survey = survey, await session.store.survey_replay(order, pick, survey)
            begin(survey.upto or 0)
            advance(survey.position - before.position)
    return survey.messages


async def _ask(session: Session, order: ReplayOrder) -> RequestedReplay:
    asked = await session.store.ask_replay(order, time.time())
    if asked is None:
        raise _not_configured(order.endpoint)
    if not asked.accepted:
        number = asked.replay.number
        what = f"{order.endpoint} has replay {number} under way"
        raise Failure(f"--endpoint: {what}; wait for its end, or: relay replays cancel {number}")
    return asked


def _not_configured(endpoint: EndpointKey) -> Failure:
    return Failure(f"--endpoint: {endpoint} is not configured; nobody would send to it")


def _print_document(key: EndpointKey, messages: int, asked: RequestedReplay | None) -> None:
    from relay.admin.answers import to_data

    replay = None if asked is None else to_data(asked.replay)
    print_json({"bot": key.bot, "endpoint": key.name, "messages": messages, "replay": replay})
