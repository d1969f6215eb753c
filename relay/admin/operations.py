"""What operators may ask and do: one table, behind the admin API, its document and the commands."""

import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, get_type_hints

from relay.admin import answers
from relay.admin import requests as ask
from relay.admin.explain import Circumstances, explain, look_around, unknown
from relay.admin.parameters import Parameter, Values
from relay.admin.requests import Act, in_batches
from relay.delivery.routing import Route
from relay.model.admin import (
    AdminStore,
    DeadLetter,
    DeadLetterQuery,
    MessageHistory,
    MessageQuery,
    Reload,
    Reloaded,
    ReloadRefused,
)
from relay.model.messages import EndpointKey
from relay.model.ports import Clock, JournalUnavailable
from relay.model.replays import ReplayOrder, ReplayRecord, RequestedReplay

BACK_EVERY = 1.0
"""Seconds; whoever is back need not say so more often."""

Run = TypeVar("Run", bound=Callable[..., Awaitable[Any]])


class NotKnown(Exception):  # noqa: N818 - an answer, not a fault
    """What was asked about is not in the journal; the text says what."""


class Contradiction(Exception):  # noqa: N818 - an answer, not a fault
    """What is asked can't be, which no schema can say; the text says why."""


class TooSoon(Exception):  # noqa: N818 - an answer, not a fault
    """The same was asked a moment ago."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that an operator may ask. `run` raises `NotKnown` and `JournalUnavailable`.

    `arguments` makes those of `run` from what is asked and the time; it may raise `Mistakes`.
    `schema` is what JSON Schema says beside the parameters. `by_receiver` says that an endpoint's
    own token opens it too, and that it raises `TooSoon`.
    """

    name: str
    method: str
    path: str
    summary: str
    parameters: Mapping[str, Parameter]
    arguments: Callable[[Values, float], Values]
    answer: type
    run: Callable[..., Awaitable[Any]]
    schema: Mapping[str, Any] = field(default_factory=dict)
    by_receiver: bool = False

    @property
    def in_path(self) -> frozenset[str]:
        """The names of the parameters in the path."""
        return frozenset(re.findall(r"\{(\w+)\}", self.path))

    @property
    def in_body(self) -> bool:
        """Whether the parameters are in the body, as JSON, and not in the path and the query."""
        return self.method == "POST" and not self.in_path

    def words(self, values: Values) -> str:
        """Summarize in a line for the log what is asked."""
        known = self.parameters.items()
        asked = ((name, each) for name, each in known if values[name] != each.default)
        return " ".join(f"{name}={each.words(values[name])}" for name, each in asked)


OPERATIONS: list[Operation] = []


def _as_given(values: Values, _now: float) -> Values:
    return values


def _operation(
    name: str,
    route: str,
    parameters: Mapping[str, Parameter] = ask.NOTHING,
    arguments: Callable[[Values, float], Values] = _as_given,
    **more: Any,
) -> Callable[[Run], Run]:
    """Put a method into the table; its text and what it gives describe it."""

    def add(run: Run) -> Run:
        summary, answer = (run.__doc__ or "").partition(".")[0], get_type_hints(run)["return"]
        of = (*route.split(), summary, parameters, arguments, answer, run)
        OPERATIONS.append(Operation(name, *of, **more))
        return run

    return add


def _nowhere(_bot: str) -> None:
    """Know no bot."""


def _no_trouble(_bot: str, _message_id: str) -> str:
    """Know nothing of receipts: only a running relay does."""
    return ""


async def _no_reload(*, discard_owed: bool) -> Reloaded:  # noqa: ARG001 - a `Reload`
    raise ReloadRefused("there are no settings to read anew")


@dataclass(frozen=True, slots=True)
class AdminApi:
    """The operations, on a journal.

    Beside it they know the settings (`routes` of a bot as it is configured now, None if it is not;
    `retention` in seconds) and what a running relay sees: `receipt_trouble` says why a message's
    READ fails at the moment, `relayed` whether a relay runs at all.
    """

    store: AdminStore
    clock: Clock
    routes: Callable[[str], Sequence[Route] | None] = _nowhere
    retention: float = 0.0
    receipt_trouble: Callable[[str, str], str] = _no_trouble
    relayed: Callable[[], bool] = lambda: True
    reread: Reload = _no_reload
    _backs: dict[EndpointKey, float] = field(default_factory=dict)

    @_operation("listMessages", "GET /messages", ask.MESSAGES, ask.of_messages)
    async def messages(self, query: MessageQuery) -> answers.MessageList:
        """List messages, newest first."""
        rows = await self.store.messages(query)
        await self._require_known(query, rows)
        cursor = str(rows[-1].number) if rows and len(rows) == query.limit else None
        return answers.MessageList(rows, cursor)

    @_operation("showMessage", "GET /messages/{message_id}", ask.MESSAGE)
    async def message(self, message_id: str) -> answers.HistoryList:
        """Tell what happened to one message."""
        histories = await self.store.history(message_id)
        if not histories:
            raise NotKnown(f"no message {message_id}")
        return answers.HistoryList(histories)

    @_operation("explainMessage", "GET /messages/{message_id}/explanation", ask.MESSAGE)
    async def explanation(self, message_id: str) -> answers.ExplanationList:
        """Say in plain words what happened, what is waited for and what comes next."""
        histories = await self.store.history(message_id)
        if not histories:
            raise NotKnown(unknown(message_id, self.retention))
        now = self.clock()
        return answers.ExplanationList(
            [explain(each, await self._around(each), now) for each in histories]
        )

    @_operation("listDeadLetters", "GET /dead-letters", ask.DEAD_LETTERS, ask.of_dead_letters)
    async def dead_letters(self, query: DeadLetterQuery) -> answers.DeadLetterList:
        """List dead letters, oldest first."""
        rows = await self.store.dead_letters(query)
        await self._require_known(query, rows)
        return answers.DeadLetterList(rows, _rest(rows, query))

    @_operation(
        "retryDeadLetters",
        "POST /dead-letters/retry",
        ask.RETRY,
        ask.of_dead_letters,
        schema=ask.EITHER,
    )
    async def retry(self, query: DeadLetterQuery) -> answers.DeadLettersActed:
        """Make dead letters due again at once; answers with those revived."""
        now = self.clock()
        return await self._acted(lambda part: self.store.retry(part, now), query)

    @_operation(
        "discardDeadLetters",
        "POST /dead-letters/discard",
        ask.DISCARD,
        ask.of_dead_letters,
        schema=ask.EITHER,
    )
    async def discard(self, query: DeadLetterQuery, *, mark_read: bool) -> answers.DeadLettersActed:
        """Give dead letters up; answers with those given up."""
        now = self.clock()
        return await self._acted(
            lambda part: self.store.discard(part, now, mark_read=mark_read), query
        )

    @_operation("askReplay", "POST /replays", ask.REPLAY)
    async def replay(
        self, bot: str, endpoint: str, since: float, until: float | None = None
    ) -> RequestedReplay:
        """Send an endpoint again what the journal still holds, with the header relay-replay."""
        if until is not None and until <= since:
            raise Contradiction("until must be later than since")
        order = ReplayOrder(EndpointKey(bot, endpoint), since, until)
        requested = await self.store.ask_replay(order, self.clock())
        if requested is None:
            raise NotKnown(f"no endpoint {bot}/{endpoint} is configured")
        return requested

    @_operation("listReplays", "GET /replays")
    async def replays(self) -> answers.ReplayList:
        """List replays, newest first."""
        return answers.ReplayList(await self.store.replays())

    @_operation("cancelReplay", "POST /replays/{number}/cancel", ask.REPLAY_NUMBER)
    async def cancel_replay(self, number: int) -> ReplayRecord:
        """Send no more of a replay; `cancelled` is false if it had ended before."""
        record = await self.store.cancel_replay(number, self.clock())
        if record is None:
            raise NotKnown(f"no replay {number}")
        return record

    @_operation("listEndpoints", "GET /endpoints")
    async def endpoints(self) -> answers.EndpointList:
        """List endpoints by bot and name."""
        return answers.EndpointList(await self.store.endpoints())

    @_operation("pauseEndpoint", "POST /endpoints/{bot}/{name}/pause", ask.ENDPOINT)
    async def pause(self, bot: str, name: str) -> answers.EndpointActed:
        """Pause an endpoint until it is resumed; everything is kept."""
        return await _change(self.store.pause, "pause", bot, name)

    @_operation("resumeEndpoint", "POST /endpoints/{bot}/{name}/resume", ask.ENDPOINT)
    async def resume(self, bot: str, name: str) -> answers.EndpointActed:
        """Let an endpoint go on, paused or gone, and try one in trouble at once."""
        return await _change(self.store.resume, "resume", bot, name)

    @_operation("reloadSettings", "POST /reload", ask.RELOAD)
    async def reload(self, *, discard_owed: bool) -> Reloaded:
        """Read the settings anew and apply those of endpoints, all or none; says what changed."""
        return await self.reread(discard_owed=discard_owed)

    @_operation(
        "endpointIsBack", "POST /endpoints/{bot}/{name}/back", ask.ENDPOINT, by_receiver=True
    )
    async def back(self, bot: str, name: str) -> answers.EndpointActed:
        """Let an endpoint that is gone or in trouble be tried again; lifts no operator's pause."""
        endpoint, now = EndpointKey(bot, name), self.clock()
        if 0 <= now - self._backs.get(endpoint, -math.inf) < BACK_EVERY:
            raise TooSoon
        done = await _change(self.store.back, "back", bot, name)
        self._backs[endpoint] = now
        return done

    async def _acted(self, act: Act, query: DeadLetterQuery) -> answers.DeadLettersActed:
        """Act in short transactions; if the journal fails half-way, the next ask does the rest."""
        done: list[DeadLetter] = []
        try:
            async for letters in in_batches(act, query):
                done += letters
        except JournalUnavailable:
            if not done:
                raise
            cursor: str | None = str(done[-1].place)
        else:
            cursor = _rest(done, query)
        await self._require_known(query, done)
        return answers.DeadLettersActed(done, cursor, len(done))

    async def _require_known(
        self, query: MessageQuery | DeadLetterQuery, found: Sequence[object]
    ) -> None:
        """Refuse the name of a bot or endpoint, if nothing was found and none has it.

        Nothing found by a wrong name would look like good news. Raises `NotKnown`.
        """
        if found or (query.bot is None and query.endpoint is None):
            return
        if query.bot and query.endpoint is None and self.routes(query.bot) is not None:
            return
        known = [record.endpoint for record in await self.store.endpoints()]
        if any(query.bot in (None, k.bot) and query.endpoint in (None, k.name) for k in known):
            return
        asked = "/".join(name for name in (query.bot, query.endpoint) if name)
        named = "endpoint" if query.endpoint else "bot"
        expected = f"expected one of {', '.join(map(str, known))}" if known else "none has been yet"
        raise NotKnown(f"no {named} {asked}; {expected}")

    async def _around(self, history: MessageHistory) -> Circumstances:
        """Look up all that an explanation needs beside the message's history."""
        message = history.message
        return replace(
            await look_around(self.store, history),
            routes=self.routes(message.bot),
            retention=self.retention,
            receipt_trouble=self.receipt_trouble(message.bot, message.message_id),
            relayed=self.relayed(),
        )


def _rest(rows: Sequence[DeadLetter], query: DeadLetterQuery) -> str | None:
    return str(rows[-1].place) if rows and len(rows) == query.limit else None


async def _change(
    change: Callable[[EndpointKey], Awaitable[bool]], action: str, bot: str, name: str
) -> answers.EndpointActed:
    if not await change(EndpointKey(bot, name)):
        raise NotKnown(f"no endpoint {bot}/{name}")
    return answers.EndpointActed(bot, name, action)
