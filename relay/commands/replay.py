"""`relay replay`: sends an endpoint again what the journal still holds."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import click
from rich.console import Console
from rich.progress import Progress, TimeRemainingColumn

from relay.admin.answers import to_data
from relay.commands.desk import find_endpoint, with_admin_store
from relay.commands.failure import Failure, WrongUsage
from relay.commands.options import config_option, json_option
from relay.commands.settings import read_settings
from relay.commands.times import MOMENT
from relay.config import Settings
from relay.config.policies import routing
from relay.model.admin import AdminStore
from relay.model.messages import EndpointKey
from relay.model.replays import Pick, ReplayOrder, RequestedReplay, Survey


@click.command()
@click.option(
    "--since",
    type=MOMENT,
    metavar="T",
    required=True,
    help="From this time on: 2026-11-22T09:30:00Z, 2026-11-22 (at 00:00 UTC), or 2h (ago).",
)
@click.option("--until", type=MOMENT, metavar="T", help="Up to this time; default: now.")
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

    async def work(desk: AdminStore) -> tuple[EndpointKey, int, RequestedReplay | None]:
        key = await find_endpoint(desk, endpoint, bot=bot, parameter="--endpoint")
        order, pick = ReplayOrder(key, since, until), _pick(settings, key)
        messages = await _count(desk, order, pick)
        return key, messages, None if dry_run else await _ask(desk, order)

    key, messages, asked = with_admin_store(settings, work)
    _tell(key, messages, asked, as_json=as_json)


def _pick(settings: Settings, endpoint: EndpointKey) -> Pick:
    bots = (bot for bot in settings.bots if bot.name == endpoint.bot)
    if not any(each.name == endpoint.name for bot in bots for each in bot.endpoints):
        raise _not_configured(endpoint)
    (bot,) = (bot for bot in settings.bots if bot.name == endpoint.bot)
    return routing(bot).pick(endpoint)


async def _count(desk: AdminStore, order: ReplayOrder, pick: Pick) -> int:
    survey = Survey()
    with _bar() as bar:
        while not survey.whole:
            survey = await desk.survey_replay(order, pick, survey)
            bar(survey)
    return survey.messages


async def _ask(desk: AdminStore, order: ReplayOrder) -> RequestedReplay:
    asked = await desk.ask_replay(order, time.time())
    if asked is None:
        raise _not_configured(order.endpoint)
    if not asked.accepted:
        number = asked.replay.number
        what = f"{order.endpoint} has replay {number} under way"
        raise Failure(f"--endpoint: {what}; wait for its end, or: relay replays cancel {number}")
    return asked


def _not_configured(endpoint: EndpointKey) -> Failure:
    return Failure(f"--endpoint: {endpoint} is not configured; nobody would send to it")


def _tell(
    endpoint: EndpointKey, messages: int, asked: RequestedReplay | None, *, as_json: bool
) -> None:
    if as_json:
        document: dict[str, Any] = {
            "bot": endpoint.bot,
            "endpoint": endpoint.name,
            "messages": messages,
            "replay": None if asked is None else to_data(asked.replay),
        }
        click.echo(json.dumps(document, indent=2))
    elif asked is None:
        click.echo(f"{messages} messages would go to {endpoint} again")
    else:
        begins = "a running relay begins within 5 seconds"
        click.echo(f"replay {asked.replay.number}: {messages} messages to {endpoint}; {begins}")


class _Bar(Protocol):
    """Shows how far a survey has come."""

    def __call__(self, survey: Survey) -> None:
        """Take note of it."""


@contextmanager
def _bar() -> Iterator[_Bar]:
    """Show a bar on a terminal, and nothing elsewhere."""
    columns = (*Progress.get_default_columns()[:3], TimeRemainingColumn())
    console, silent = Console(stderr=True), not sys.stderr.isatty()
    with Progress(*columns, console=console, transient=True, disable=silent) as progress:
        task = progress.add_task("messages", total=None)
        yield lambda survey: progress.update(task, total=survey.upto, completed=survey.position)
