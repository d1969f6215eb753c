"""`relay replay`: sends an endpoint again what the journal still holds."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay.commands.failure import Failure, WrongUsage
from relay.commands.output import print_json, progress
from relay.commands.params import TIME, config_option, json_option
from relay.commands.store import find_endpoint, read_settings, with_admin
from relay.model.admin import AdminStore
from relay.model.messages import EndpointKey
from relay.model.replays import Pick, ReplayOrder, RequestedReplay, Survey

if TYPE_CHECKING:
    from relay.admin.operations import AdminApi
    from relay.config import Settings


@click.command()
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
@config_option
@json_option
def command(
    *,
    since: float,
    until: float | None,
    endpoint: str,
    bot: str | None,
    config: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send an endpoint again what the journal still holds, for a receiver that lost its data.

    These are the messages that came, or were delivered to it, in that time, and that its filters
    let through today; not those that it is still owed. Each request has the header relay-replay.
    READ and dead letters stay as they are. `relay replays` shows how it goes on.
    """
    if until is not None and until <= since:
        raise WrongUsage("--until: expected a time after --since")
    settings = read_settings(config)

    async def work(admin: "AdminApi") -> tuple[EndpointKey, int, RequestedReplay | None]:
        key = await find_endpoint(admin.store, endpoint, bot=bot, parameter="--endpoint")
        order, pick = ReplayOrder(key, since, until), _pick(settings, key)
        messages = await _count(admin.store, order, pick)
        return key, messages, None if dry_run else await _ask(admin.store, order)

    key, messages, asked = with_admin(settings, work)
    if as_json:
        _print_document(key, messages, asked)
    elif asked is None:
        click.echo(f"{messages} messages would go to {key} again")
    else:
        begins = "a running relay begins within 5 seconds"
        click.echo(f"replay {asked.replay.number}: {messages} messages to {key}; {begins}")


def _pick(settings: "Settings", endpoint: EndpointKey) -> Pick:
    from relay.config.policies import routing

    for bot in settings.bots:
        if bot.name == endpoint.bot and endpoint.name in {each.name for each in bot.endpoints}:
            return routing(bot).pick(endpoint)
    raise _not_configured(endpoint)


async def _count(store: AdminStore, order: ReplayOrder, pick: Pick) -> int:
    survey = Survey()
    with progress("messages") as (begin, advance):
        while not survey.whole:
            before, survey = survey, await store.survey_replay(order, pick, survey)
            begin(survey.upto or 0)
            advance(survey.position - before.position)
    return survey.messages


async def _ask(store: AdminStore, order: ReplayOrder) -> RequestedReplay:
    asked = await store.ask_replay(order, time.time())
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
