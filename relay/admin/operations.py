"""The admin API's operations: one table, of which both the routes and the document are made."""

import math
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import BaseModel

from relay.admin.answers import (
    DeadLetterList,
    DeadLettersActed,
    EndpointActed,
    EndpointList,
    ExplanationList,
    HistoryList,
    MessageList,
    ReplayAnswer,
    ReplayAsked,
    ReplayList,
    SettingsRead,
)
from relay.admin.batches import Act, in_batches
from relay.admin.explain import unknown
from relay.admin.inquiry import Inquiry
from relay.admin.names import NotKnown, require_known
from relay.admin.queries import (
    DeadLettersAsk,
    DiscardAsk,
    EndpointAsk,
    MessageAsk,
    MessagesAsk,
    NothingAsked,
    ReloadAsk,
    ReplayAsk,
    ReplayNumber,
    RetryAsk,
)
from relay.model.admin import AdminStore, DeadLetter, DeadLetterQuery, Reload
from relay.model.messages import EndpointKey
from relay.model.ports import Clock, JournalUnavailable

BACK_EVERY = 1.0
"""Seconds; whoever is back need not say so more often."""

_Answer = TypeVar("_Answer", bound=BaseModel)


class Contradiction(Exception):  # noqa: N818 - an answer, not a fault
    """What is asked can't be, which no schema can say; the text says why."""


class TooSoon(Exception):  # noqa: N818 - an answer, not a fault
    """The same was asked a moment ago."""


class Asked(StrEnum):
    """Where an operation's parameters are, but for those in its path."""

    QUERY = "query"
    BODY = "body"


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that the admin API does. `run` raises `NotKnown` and `JournalUnavailable`.

    `by_receiver` says that an endpoint's own token opens it too, and that it raises `TooSoon`.
    """

    name: str
    method: str
    path: str
    summary: str
    asked: Asked
    ask: type[BaseModel]
    answer: type[BaseModel]
    run: Callable[["AdminApi", Any], Awaitable[BaseModel]]
    by_receiver: bool = False

    @property
    def in_path(self) -> frozenset[str]:
        """The names of the parameters in the path."""
        return frozenset(re.findall(r"\{(\w+)\}", self.path))


@dataclass(frozen=True, slots=True)
class AdminApi:
    """What operations work with."""

    desk: AdminStore
    clock: Clock
    inquiry: Inquiry
    reread: Reload
    backs: dict[EndpointKey, float] = field(default_factory=dict)

    async def messages(self, ask: MessagesAsk) -> MessageList:
        """List messages."""
        query = ask.query(self.clock())
        rows = await self.desk.messages(query)
        await require_known(self.desk, query, rows)
        cursor = str(rows[-1].number) if len(rows) == query.limit else None
        return _answer(MessageList, messages=rows, next_cursor=cursor)

    async def message(self, ask: MessageAsk) -> HistoryList:
        """Tell all of one message."""
        histories = await self.desk.history(ask.message_id)
        if not histories:
            raise NotKnown(f"no message {ask.message_id}")
        return _answer(HistoryList, histories=histories)

    async def explanation(self, ask: MessageAsk) -> ExplanationList:
        """Explain one message."""
        found = await self.inquiry.explain(self.desk, ask.message_id, self.clock())
        if not found:
            raise NotKnown(unknown(ask.message_id, self.inquiry.retention))
        return _answer(ExplanationList, explanations=found)

    async def dead_letters(self, ask: DeadLettersAsk) -> DeadLetterList:
        """List dead letters."""
        query = ask.query(self.clock())
        rows = await self.desk.dead_letters(query)
        await require_known(self.desk, query, rows)
        return _answer(DeadLetterList, dead_letters=rows, next_cursor=_rest(rows, query))

    async def retry(self, ask: RetryAsk) -> DeadLettersActed:
        """Make dead letters due again."""
        now = self.clock()
        return await self._acted(lambda query: self.desk.retry(query, now), ask.query(now))

    async def discard(self, ask: DiscardAsk) -> DeadLettersActed:
        """Give dead letters up."""
        now, mark_read = self.clock(), ask.mark_read
        act: Act = lambda query: self.desk.discard(query, now, mark_read=mark_read)  # noqa: E731 - a name for the type
        return await self._acted(act, ask.query(now))

    async def endpoints(self, _: NothingAsked) -> EndpointList:
        """List endpoints."""
        return _answer(EndpointList, endpoints=await self.desk.endpoints())

    async def pause(self, ask: EndpointAsk) -> EndpointActed:
        """Pause an endpoint."""
        return _told(ask, "pause", known=await self.desk.pause(EndpointKey(ask.bot, ask.name)))

    async def resume(self, ask: EndpointAsk) -> EndpointActed:
        """Let an endpoint go on."""
        return _told(ask, "resume", known=await self.desk.resume(EndpointKey(ask.bot, ask.name)))

    async def reload(self, ask: ReloadAsk) -> SettingsRead:
        """Read the settings anew. Raises `ReloadRefused`."""
        done = await self.reread(discard_owed=ask.discard_owed)
        return SettingsRead.model_validate(done)

    async def replay(self, ask: ReplayAsk) -> ReplayAsked:
        """Ask for a replay."""
        if ask.until is not None and ask.until <= ask.since:
            raise Contradiction("until must be later than since")
        asked = await self.desk.ask_replay(ask.order(), self.clock())
        if asked is None:
            raise NotKnown(f"no endpoint {ask.bot}/{ask.endpoint} is configured")
        return ReplayAsked.model_validate(asked)

    async def replays(self, _: NothingAsked) -> ReplayList:
        """List replays."""
        return _answer(ReplayList, replays=await self.desk.replays())

    async def cancel_replay(self, ask: ReplayNumber) -> ReplayAnswer:
        """Send no more of a replay."""
        record = await self.desk.cancel_replay(ask.number, self.clock())
        if record is None:
            raise NotKnown(f"no replay {ask.number}")
        return ReplayAnswer.model_validate(record)

    async def back(self, ask: EndpointAsk) -> EndpointActed:
        """Take a receiver's word that it is back; each second once."""
        endpoint, now = EndpointKey(ask.bot, ask.name), self.clock()
        if 0 <= now - self.backs.get(endpoint, -math.inf) < BACK_EVERY:
            raise TooSoon
        done = _told(ask, "back", known=await self.desk.back(endpoint))
        self.backs[endpoint] = now
        return done

    async def _acted(self, act: Act, query: DeadLetterQuery) -> DeadLettersActed:
        """Act in short transactions; if the journal fails half-way, the next ask does the rest."""
        done: list[DeadLetter] = []
        try:
            async for letters in in_batches(act, query):
                done += letters
        except JournalUnavailable:
            if not done:
                raise
            cursor: str | None = done[-1].place.text
        else:
            cursor = _rest(done, query)
        await require_known(self.desk, query, done)
        return _answer(DeadLettersActed, dead_letters=done, count=len(done), next_cursor=cursor)


def _answer(answer: type[_Answer], **parts: object) -> _Answer:
    return answer.model_validate(parts, from_attributes=True)


def _rest(rows: Sequence[DeadLetter], query: DeadLetterQuery) -> str | None:
    return rows[-1].place.text if rows and len(rows) == query.limit else None


def _told(ask: EndpointAsk, action: str, *, known: bool) -> EndpointActed:
    if not known:
        raise NotKnown(f"no endpoint {ask.bot}/{ask.name}")
    return EndpointActed(bot=ask.bot, endpoint=ask.name, action=action)


def _get(name: str, path: str, summary: str, **types: Any) -> Operation:
    return Operation(name, "GET", path, summary, asked=Asked.QUERY, **types)


def _post(name: str, path: str, summary: str, **types: Any) -> Operation:
    asked = Asked.QUERY if "{" in path else Asked.BODY
    return Operation(name, "POST", path, summary, asked=asked, **types)


OPERATIONS = (
    _get(
        "listMessages",
        "/messages",
        "List messages, newest first",
        ask=MessagesAsk,
        answer=MessageList,
        run=AdminApi.messages,
    ),
    _get(
        "showMessage",
        "/messages/{message_id}",
        "Tell what happened to one message",
        ask=MessageAsk,
        answer=HistoryList,
        run=AdminApi.message,
    ),
    _get(
        "explainMessage",
        "/messages/{message_id}/explanation",
        "Say in plain words what happened, what is waited for and what comes next",
        ask=MessageAsk,
        answer=ExplanationList,
        run=AdminApi.explanation,
    ),
    _get(
        "listDeadLetters",
        "/dead-letters",
        "List dead letters, oldest first",
        ask=DeadLettersAsk,
        answer=DeadLetterList,
        run=AdminApi.dead_letters,
    ),
    _post(
        "retryDeadLetters",
        "/dead-letters/retry",
        "Make dead letters due again at once; answers with those revived",
        ask=RetryAsk,
        answer=DeadLettersActed,
        run=AdminApi.retry,
    ),
    _post(
        "discardDeadLetters",
        "/dead-letters/discard",
        "Give dead letters up; answers with those given up",
        ask=DiscardAsk,
        answer=DeadLettersActed,
        run=AdminApi.discard,
    ),
    _post(
        "askReplay",
        "/replays",
        "Send an endpoint again what the journal still holds, marked by the header relay-replay",
        ask=ReplayAsk,
        answer=ReplayAsked,
        run=AdminApi.replay,
    ),
    _get(
        "listReplays",
        "/replays",
        "List replays, newest first",
        ask=NothingAsked,
        answer=ReplayList,
        run=AdminApi.replays,
    ),
    _post(
        "cancelReplay",
        "/replays/{number}/cancel",
        "Send no more of a replay; `cancelled` is false if it had ended before",
        ask=ReplayNumber,
        answer=ReplayAnswer,
        run=AdminApi.cancel_replay,
    ),
    _get(
        "listEndpoints",
        "/endpoints",
        "List endpoints by bot and name",
        ask=NothingAsked,
        answer=EndpointList,
        run=AdminApi.endpoints,
    ),
    _post(
        "pauseEndpoint",
        "/endpoints/{bot}/{name}/pause",
        "Pause an endpoint until it is resumed; everything is kept",
        ask=EndpointAsk,
        answer=EndpointActed,
        run=AdminApi.pause,
    ),
    _post(
        "resumeEndpoint",
        "/endpoints/{bot}/{name}/resume",
        "Let an endpoint go on, paused or gone, and try one in trouble at once",
        ask=EndpointAsk,
        answer=EndpointActed,
        run=AdminApi.resume,
    ),
    _post(
        "reloadSettings",
        "/reload",
        "Read the settings anew and apply those of endpoints, all or none; answers what changed",
        ask=ReloadAsk,
        answer=SettingsRead,
        run=AdminApi.reload,
    ),
    _post(
        "endpointIsBack",
        "/endpoints/{bot}/{name}/back",
        "Let an endpoint that is gone or in trouble be tried again; lifts no operator's pause",
        ask=EndpointAsk,
        answer=EndpointActed,
        run=AdminApi.back,
        by_receiver=True,
    ),
)
