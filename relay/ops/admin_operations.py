"""The admin API's operations: one table, of which both the routes and the document are made."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import BaseModel

from relay.desk import Desk, Reload
from relay.model import EndpointKey
from relay.ops.admin_models import (
    DeadLetterList,
    DeadLettersAsk,
    DiscardAsk,
    EndpointActed,
    EndpointAsk,
    EndpointChanged,
    EndpointList,
    HistoryList,
    MessageAsk,
    MessageList,
    MessagesAsk,
    NothingAsked,
    ReloadAsk,
    ReplayAsk,
    ReplayAsked,
    RetryAsk,
    SettingsRead,
)
from relay.ports import Clock

_Answer = TypeVar("_Answer", bound=BaseModel)


class NotKnown(Exception):  # noqa: N818 - an answer, not a fault
    """What was asked about is not in the journal; the text says what."""


class Asked(StrEnum):
    """Where an operation's parameters are, but for those in its path."""

    QUERY = "query"
    BODY = "body"


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that the admin API does. `run` raises `NotKnown` and `JournalUnavailable`."""

    name: str
    method: str
    path: str
    summary: str
    asked: Asked
    ask: type[BaseModel]
    answer: type[BaseModel]
    run: Callable[["Office", Any], Awaitable[BaseModel]]

    @property
    def in_path(self) -> frozenset[str]:
        """The names of the parameters in the path."""
        return frozenset(re.findall(r"\{(\w+)\}", self.path))


@dataclass(frozen=True, slots=True)
class Office:
    """What operations work with."""

    desk: Desk
    clock: Clock
    reread: Reload

    async def messages(self, ask: MessagesAsk) -> MessageList:
        """List messages."""
        return _listed(MessageList, messages=await self.desk.messages(ask.query()))

    async def message(self, ask: MessageAsk) -> HistoryList:
        """Tell all of one message."""
        histories = await self.desk.history(ask.message_id)
        if not histories:
            raise NotKnown(f"no message {ask.message_id}")
        return _listed(HistoryList, histories=histories)

    async def dead_letters(self, ask: DeadLettersAsk) -> DeadLetterList:
        """List dead letters."""
        return _listed(DeadLetterList, dead_letters=await self.desk.dead_letters(ask.query()))

    async def retry(self, ask: RetryAsk) -> DeadLetterList:
        """Make dead letters due again."""
        revived = await self.desk.retry(ask.query(), self.clock())
        return _listed(DeadLetterList, dead_letters=revived)

    async def discard(self, ask: DiscardAsk) -> DeadLetterList:
        """Give dead letters up."""
        given_up = await self.desk.discard(ask.query(), self.clock(), mark_read=ask.mark_read)
        return _listed(DeadLetterList, dead_letters=given_up)

    async def endpoints(self, _: NothingAsked) -> EndpointList:
        """List endpoints."""
        return _listed(EndpointList, endpoints=await self.desk.endpoints())

    async def pause(self, ask: EndpointAsk) -> EndpointActed:
        """Pause an endpoint."""
        return _told(ask, "pause", known=await self.desk.pause(EndpointKey(ask.bot, ask.name)))

    async def resume(self, ask: EndpointAsk) -> EndpointActed:
        """Let an endpoint go on."""
        return _told(ask, "resume", known=await self.desk.resume(EndpointKey(ask.bot, ask.name)))

    async def reload(self, ask: ReloadAsk) -> SettingsRead:
        """Read the settings anew. Raises `ReloadRefused`."""
        done = await self.reread(discard_owed=ask.discard_owed)
        return SettingsRead(
            added=[str(key) for key in done.fact.added],
            removed=[str(key) for key in done.fact.removed],
            changed=[
                EndpointChanged(endpoint=str(key), keys=list(names))
                for key, names in done.fact.changed
            ],
            settings=list(done.fact.settings),
            discarded=done.discarded,
        )

    async def replay(self, ask: ReplayAsk) -> ReplayAsked:
        """Ask for a replay."""
        asked = await self.desk.ask_replay(ask.order(), self.clock())
        if asked is None:
            raise NotKnown(f"no endpoint {ask.bot}/{ask.endpoint} is configured")
        return ReplayAsked.model_validate(asked)


def _listed(answer: type[_Answer], **rows: Sequence[object]) -> _Answer:
    return answer.model_validate(rows, from_attributes=True)


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
        run=Office.messages,
    ),
    _get(
        "showMessage",
        "/messages/{message_id}",
        "Tell what happened to one message",
        ask=MessageAsk,
        answer=HistoryList,
        run=Office.message,
    ),
    _get(
        "listDeadLetters",
        "/dead-letters",
        "List dead letters, oldest first",
        ask=DeadLettersAsk,
        answer=DeadLetterList,
        run=Office.dead_letters,
    ),
    _post(
        "retryDeadLetters",
        "/dead-letters/retry",
        "Make dead letters due again at once; answers with those revived",
        ask=RetryAsk,
        answer=DeadLetterList,
        run=Office.retry,
    ),
    _post(
        "discardDeadLetters",
        "/dead-letters/discard",
        "Give dead letters up; answers with those given up",
        ask=DiscardAsk,
        answer=DeadLetterList,
        run=Office.discard,
    ),
    _post(
        "askReplay",
        "/replays",
        "Send an endpoint again what the journal still holds, marked by the header relay-replay",
        ask=ReplayAsk,
        answer=ReplayAsked,
        run=Office.replay,
    ),
    _get(
        "listEndpoints",
        "/endpoints",
        "List endpoints by bot and name",
        ask=NothingAsked,
        answer=EndpointList,
        run=Office.endpoints,
    ),
    _post(
        "pauseEndpoint",
        "/endpoints/{bot}/{name}/pause",
        "Pause an endpoint until it is resumed; everything is kept",
        ask=EndpointAsk,
        answer=EndpointActed,
        run=Office.pause,
    ),
    _post(
        "resumeEndpoint",
        "/endpoints/{bot}/{name}/resume",
        "Let an endpoint go on, paused or gone; pokes an open gate at once",
        ask=EndpointAsk,
        answer=EndpointActed,
        run=Office.resume,
    ),
    _post(
        "reloadSettings",
        "/reload",
        "Read the settings anew and apply those of endpoints, all or none; answers what changed",
        ask=ReloadAsk,
        answer=SettingsRead,
        run=Office.reload,
    ),
)
