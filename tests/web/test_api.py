"""The admin API over real sockets, held to its own document."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from relay.admin.operations import AdminApi
from relay.admin.requests import BATCH, MOST
from relay.delivery.routing import Route
from relay.model.admin import (
    DeadLetter,
    DeadLetterQuery,
    EndpointChange,
    MessageQuery,
    Reloaded,
    ReloadRefused,
)
from relay.model.messages import EndpointKey, MessageOutcome, Reason
from relay.model.ports import Clock, JournalUnavailable
from relay.telemetry.events import AdminRefused, Event, OperatorActed
from relay.web.api import admin_app
from relay.web.auth import BURST, DELAY
from tests.web.fake_admin_store import CRM, DEAD_LETTER, MESSAGE_ID, SUMMARY, FakeAdminStore
from tests.web.schemas import check
from tests.web.serving import read_problem, serving

TOKEN = "correct-horse-battery"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
NOW = 1604400000.0
RETENTION = 8 * 86_400.0
API = "/api/v1"


def routes(bot: str) -> list[Route] | None:
    """Know one bot."""
    return [Route(CRM)] if bot == CRM.bot else None


@asynccontextmanager
async def calling(
    store: FakeAdminStore,
    headers: dict[str, str] | None = None,
    events: list[Event] | None = None,
    *,
    token: str = TOKEN,
    back: dict[EndpointKey, str] | None = None,
    clock: Clock = lambda: NOW,
) -> AsyncIterator[aiohttp.ClientSession]:
    events = [] if events is None else events
    app = admin_app(
        AdminApi(store, clock, routes, RETENTION),
        token,
        tell=events.append,
        version="1.2.3",
        back_tokens=None if back is None else lambda: back,
    )
    async with serving(admin=app, headers=BEARER if headers is None else headers) as client:
        yield client


async def ask(
    store: FakeAdminStore, method: str, path: str, **options: Any
) -> tuple[int, dict[str, Any]]:
    """Ask, and hold the answer to the document."""
    async with calling(store) as client:
        async with client.get(f"{API}/openapi.json") as answer:
            document = await answer.json()
        async with client.request(method, f"{API}{path}", **options) as answer:
            body = await answer.json()
            described = _operation(document, method, path)["responses"][str(answer.status)]
            schema = described["content"][answer.content_type]["schema"]
    check(body, schema, document)
    return answer.status, body


def _operation(document: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    asked = f"{API}{path}".partition("?")[0].split("/")
    for template, operations in document["paths"].items():
        parts = template.split("/")
        if len(parts) == len(asked) and all(
            part == word or part.startswith("{") for part, word in zip(parts, asked, strict=True)
        ):
            operation: dict[str, Any] = operations[method.lower()]
            return operation
    raise AssertionError(path)


# --- Replays --------------------------------------------------------------------------------------


async def test_a_replay_is_asked_for() -> None:
    """A time, an endpoint: the answer says how it stands, and an endpoint must be one."""
    since = {"since": "2020-11-02T12:47:32Z"}
    names = {"bot": "support", "endpoint": "crm"}
    status, body = await ask(FakeAdminStore(), "POST", "/replays", json=names | since)
    assert (200, True, 3) == (status, body["accepted"], body["replay"]["number"])
    status, _ = await ask(
        FakeAdminStore(), "POST", "/replays", json=names | since | {"endpoint": "x"}
    )
    assert 404 == status
    for status, wrong in (
        (422, {"since": "2020-11-02"}),
        (409, since | {"until": "2020-11-02T12:47:32Z"}),
        (422, {}),
    ):
        assert status == (await ask(FakeAdminStore(), "POST", "/replays", json=names | wrong))[0]


async def test_replays_are_listed_and_cancelled() -> None:
    """By its number, which must be one that there is."""
    status, body = await ask(FakeAdminStore(), "GET", "/replays")
    assert (200, [3]) == (status, [replay["number"] for replay in body["replays"]])
    status, body = await ask(FakeAdminStore(), "POST", "/replays/3/cancel")
    assert (200, 3) == (status, body["number"])
    for status, number in ((404, "4"), (422, "0"), (422, "x"), (422, str(2**64))):
        assert status == (await ask(FakeAdminStore(), "POST", f"/replays/{number}/cancel"))[0]


# --- Who may ask ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN.upper()}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer gr\xfcn",
    ],
)
@pytest.mark.parametrize("path", ["/messages", "/openapi.json", "/nothing", ""])
async def test_nothing_without_the_token(authorization: str | None, path: str) -> None:
    """Whatever is asked, a wrong token is 401, and the journal is not asked."""
    store = FakeAdminStore()
    headers = {} if authorization is None else {"Authorization": authorization}

    async with calling(store, headers) as client, client.get(f"{API}{path}") as answer:
        problem = await read_problem(answer)
        what = (
            "a bearer token is needed"
            if authorization is None
            else "the bearer token is wrong here"
        )
        assert (401, what) == (problem["status"], problem["detail"])
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert [] == store.asked


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_read_in_any_case(scheme: str) -> None:
    """RFC 9110: schemes have no case."""
    headers = {"Authorization": f"{scheme} {TOKEN}"}
    async with (
        calling(FakeAdminStore(), headers) as client,
        client.get(f"{API}/endpoints") as answer,
    ):
        assert 200 == answer.status


def test_an_empty_token_is_refused() -> None:
    """An API that anyone may use can't be made by mistake."""
    with pytest.raises(ValueError, match="without a token"):
        admin_app(AdminApi(FakeAdminStore(), lambda: NOW), "", tell=print, version="1.2.3")


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"Authorization": "Bearer wrong"}, [AdminRefused("127.0.0.1", given=True)]),
        ({}, [AdminRefused("127.0.0.1", given=False)]),
        (BEARER, []),
    ],
)
async def test_who_is_refused_is_told(headers: dict[str, str], told: list[Event]) -> None:
    """Each wrong token is an event that names who asked, and nothing of the token."""
    events: list[Event] = []
    path = f"{API}/endpoints"
    async with calling(FakeAdminStore(), headers, events) as client, client.get(path) as answer:
        assert (401 if told else 200) == answer.status
    assert told == events


async def test_who_guesses_is_slowed_down_and_locks_nobody_out() -> None:
    """Too many wrong tokens are 429, counted as such; the right one opens all the same, later."""
    events: list[Event] = []
    path, wrong = f"{API}/endpoints", {"Authorization": "Bearer wrong"}
    async with calling(FakeAdminStore(), {}, events) as client:
        again_in = None
        for status in [401] * BURST + [429]:
            async with client.get(path, headers=wrong) as answer:
                assert status == answer.status
                again_in = answer.headers.get("Retry-After")
        assert "6" == again_in
        async with client.get(path) as answer:  # no token is no guess
            assert 401 == answer.status
        began = asyncio.get_running_loop().time()
        async with client.get(path, headers=BEARER) as answer:
            assert 200 == answer.status
        assert asyncio.get_running_loop().time() - began >= DELAY
    expected = [(True, False)] * BURST + [(True, True), (False, False)]
    refused = [event for event in events if isinstance(event, AdminRefused)]
    assert expected == [(event.given, event.throttled) for event in refused]


async def test_a_token_in_the_query_is_none() -> None:
    """URLs end in logs: a token counts in its header only."""
    path = f"{API}/endpoints?access_token={TOKEN}"
    async with calling(FakeAdminStore(), {}) as client, client.get(path) as answer:
        assert 401 == answer.status


async def test_probes_and_metrics_need_no_token() -> None:
    """The token guards the API and nothing else."""
    async with calling(FakeAdminStore(), {}) as client:
        for path in ("/livez", "/readyz", "/metrics"):
            async with client.get(path) as answer:
                assert 200 == answer.status


# --- Messages -------------------------------------------------------------------------------------


async def test_messages_are_listed() -> None:
    """A row has ids, outcome and times in UTC, and nothing of the content."""
    store = FakeAdminStore()

    status, body = await ask(store, "GET", "/messages")

    assert 200 == status
    assert [("messages", MessageQuery())] == store.asked
    (message,) = body["messages"]
    assert (MESSAGE_ID, "dead") == (message["message_id"], message["outcome"])
    assert "2020-11-02T12:47:32.472333Z" == message["received_at"]


async def test_messages_can_be_narrowed_down() -> None:
    """Every condition reaches the journal."""
    store = FakeAdminStore()
    query = "bot=support&conversation_id=ABC&category=PLAIN_TEXT&pending=false&outcome=dead&limit=7"

    await ask(store, "GET", f"/messages?{query}")

    expected = MessageQuery("support", "abc", "PLAIN_TEXT", False, MessageOutcome.DEAD, 7)  # noqa: FBT003 - in the order of the query
    assert [("messages", expected)] == store.asked


async def test_a_message_is_shown_with_its_deliveries() -> None:
    """The history has each delivery with its attempts, and nothing of the content."""
    status, body = await ask(FakeAdminStore(), "GET", f"/messages/{MESSAGE_ID.upper()}")

    assert 200 == status
    (history,) = body["histories"]
    assert MESSAGE_ID == history["message"]["message_id"]
    (delivery,) = history["deliveries"]
    assert ("crm", "dead", False) == (delivery["endpoint"], delivery["state"], delivery["waits"])
    assert (422, "http_4xx") == (
        delivery["attempts"][0]["status"],
        delivery["attempts"][0]["reason"],
    )
    assert "aGVsbG8" not in json.dumps(body)


async def test_an_unknown_message_is_404() -> None:
    """What the journal does not know is not found."""
    status, body = await ask(FakeAdminStore(), "GET", "/messages/nothing")

    assert (404, "no message nothing") == (status, body["detail"])


# --- Dead letters ---------------------------------------------------------------------------------


async def test_dead_letters_are_listed() -> None:
    """A row says which delivery died and why."""
    store = FakeAdminStore()

    status, body = await ask(store, "GET", "/dead-letters")

    assert 200 == status
    assert [("dead_letters", DeadLetterQuery(limit=100))] == store.asked
    (letter,) = body["dead_letters"]
    assert ("support", "crm", "http_4xx") == (letter["bot"], letter["endpoint"], letter["reason"])


async def test_dead_letters_can_be_narrowed_down() -> None:
    """Every condition reaches the journal, and ids may be several."""
    store = FakeAdminStore()
    query = (
        "message_id=a&message_id=b&bot=support&endpoint=crm&reason=removed"
        "&ended_before=2020-11-02T12:47:32Z&limit=7"
    )

    await ask(store, "GET", f"/dead-letters?{query}")
    await ask(store, "GET", "/dead-letters?message_id=a&limit=7")

    assert [
        (
            "dead_letters",
            DeadLetterQuery(("a", "b"), "support", "crm", "removed", 1604321252.0, 7),
        ),
        ("dead_letters", DeadLetterQuery(("a",), limit=7)),
    ] == store.asked


async def test_dead_letters_are_retried() -> None:
    """The chosen ones are due again now; the answer has those revived."""
    store = FakeAdminStore()

    status, body = await ask(
        store, "POST", "/dead-letters/retry", json={"message_ids": [MESSAGE_ID]}
    )

    assert (200, 1) == (status, len(body["dead_letters"]))
    assert (1, None) == (body["count"], body["next_cursor"])
    assert [("retry", DeadLetterQuery((MESSAGE_ID,), limit=BATCH), NOW)] == store.asked


async def test_all_dead_letters_of_an_endpoint_are_retried() -> None:
    """`all` takes everything that the conditions leave."""
    store = FakeAdminStore()
    asked = {"all": True, "bot": "support", "endpoint": "crm", "limit": 10}

    await ask(store, "POST", "/dead-letters/retry", json=asked)

    query = DeadLetterQuery(bot="support", endpoint="crm", limit=10)
    assert [("retry", query, NOW)] == store.asked


@pytest.mark.parametrize("mark_read", [False, True])
async def test_discarding_marks_read_only_on_demand(
    mark_read: bool,  # noqa: FBT001 - pytest passes parameters by name
) -> None:
    """Without `mark_read` a discarded message stays unread."""
    store = FakeAdminStore()
    asked = {"message_ids": [MESSAGE_ID], **({"mark_read": True} if mark_read else {})}

    status, _ = await ask(store, "POST", "/dead-letters/discard", json=asked)

    assert 200 == status
    query = DeadLetterQuery((MESSAGE_ID,), limit=BATCH)
    assert [("discard", query, NOW, mark_read)] == store.asked


@pytest.mark.parametrize("action", ["retry", "discard"])
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"all": False},
        {"endpoint": "crm"},
        {"message_ids": []},
        {"message_ids": None},
        {"message_ids": ["a"], "all": True},
        {"message_ids": ["a"] * (MOST + 1)},
        {"message_ids": [7]},
        {"all": "yes"},
        {"all": 1},
        {"all": True, "mark_raed": True},
        {"all": True, "mark_read": "true"},
        {"all": True, "limit": 0},
        {"all": True, "limit": MOST + 1},
        {"all": True, "ended_before": "2020-11-02T12:47:32"},
        {"all": True, "ended_before": "yesterday"},
        [],
        "all",
    ],
)
async def test_nothing_is_done_by_mistake(action: str, body: object) -> None:
    """Without an explicit choice, or with anything not understood, the journal is not asked."""
    store = FakeAdminStore()

    status, problem = await ask(store, "POST", f"/dead-letters/{action}", json=body)

    assert 422 == status
    assert problem["mistakes"]
    assert [] == store.asked


@pytest.mark.parametrize("data", [b"{", b"\xff", b"all=true", b"[" * 60_000])
async def test_a_body_that_is_no_json_is_refused(data: bytes) -> None:
    """400, and the journal is not asked."""
    store = FakeAdminStore()

    status, _ = await ask(store, "POST", "/dead-letters/retry", data=data)

    assert 400 == status
    assert [] == store.asked


async def test_a_large_body_is_refused() -> None:
    """413, and the journal is not asked."""
    store = FakeAdminStore()

    status, _ = await ask(store, "POST", "/dead-letters/retry", data=b" " * 100_000)

    assert 413 == status
    assert [] == store.asked


# --- Endpoints ------------------------------------------------------------------------------------


async def test_endpoints_are_listed() -> None:
    """A row has what the relay wrote of it and what the journal counts."""
    status, body = await ask(FakeAdminStore(), "GET", "/endpoints")

    assert 200 == status
    (endpoint,) = body["endpoints"]
    assert ("support", "crm", "open") == (
        endpoint["bot"],
        endpoint["endpoint"],
        endpoint["state"],
    )
    assert "2020-11-02T12:48:32.472333Z" == endpoint["next_probe_at"]
    assert (3, 1, True) == (endpoint["pending"], endpoint["dead_letters"], endpoint["configured"])


@pytest.mark.parametrize("action", ["pause", "resume"])
async def test_an_endpoint_is_paused_and_resumed(action: str) -> None:
    """The action reaches the journal under the endpoint's full name."""
    store = FakeAdminStore()

    status, body = await ask(store, "POST", f"/endpoints/support/crm/{action}")

    assert 200 == status
    assert {"bot": "support", "endpoint": "crm", "action": action} == body
    assert [(action, CRM)] == store.asked


@pytest.mark.parametrize("action", ["pause", "resume"])
async def test_an_unknown_endpoint_is_404(action: str) -> None:
    """What the journal does not know is not found."""
    status, body = await ask(FakeAdminStore(), "POST", f"/endpoints/support/other/{action}")

    assert (404, "no endpoint support/other") == (status, body["detail"])


# --- Pages, ages and explanations -----------------------------------------------------------------


async def test_a_full_page_says_how_to_go_on() -> None:
    """A list that is cut off has a cursor, which the next request takes."""
    store = FakeAdminStore()

    _, page = await ask(store, "GET", "/messages?limit=1")
    await ask(store, "GET", f"/messages?limit=1&cursor={page['next_cursor']}")
    _, letters = await ask(store, "GET", "/dead-letters?limit=1")
    await ask(store, "GET", f"/dead-letters?limit=1&cursor={letters['next_cursor']}")

    assert [
        ("messages", MessageQuery(limit=1)),
        ("messages", MessageQuery(limit=1, after=SUMMARY.number)),
        ("dead_letters", DeadLetterQuery(limit=1)),
        ("dead_letters", DeadLetterQuery(limit=1, after=DEAD_LETTER.place)),
    ] == store.asked


async def test_messages_by_state_endpoint_and_age() -> None:
    """The names are those of the command; of two ends of a time the earlier one counts."""
    store = FakeAdminStore()
    times = "since=2020-11-02T12:47:32Z&until=2020-11-04T00:00:00%2B01:00&older_than=2d"

    await ask(store, "GET", f"/messages?state=failing&endpoint=crm&{times}")

    expected = MessageQuery(
        endpoint="crm", failing=True, since=1604321252.0, until=NOW - 2 * 86_400
    )
    assert [("messages", expected)] == store.asked


async def test_dead_letters_by_age_and_conversation() -> None:
    """The times are those of the deaths, for looking and for acting alike."""
    store = FakeAdminStore()
    asked = {"all": True, "older_than": "90s", "conversation_id": "C", "limit": 1}

    await ask(store, "GET", "/dead-letters?older_than=90s&conversation_id=C&limit=1")
    _, acted = await ask(store, "POST", "/dead-letters/retry", json=asked)

    query = DeadLetterQuery(until=NOW - 90, conversation_id="c", limit=1)
    assert [("dead_letters", query), ("retry", query, NOW)] == store.asked
    assert (1, str(DEAD_LETTER.place)) == (acted["count"], acted["next_cursor"])


class HalfStore(FakeAdminStore):
    """Revives one batch, and then the disk is full."""

    async def retry(self, query: DeadLetterQuery, now: float) -> Sequence[DeadLetter]:
        if query.after is not None:
            raise JournalUnavailable("full")
        self.asked.append(("retry", query, now))
        return [DEAD_LETTER] * (query.limit or 0)


async def test_a_journal_that_fails_half_way() -> None:
    """What was done is answered, with where to go on: nothing is left in the dark."""
    status, body = await ask(HalfStore(), "POST", "/dead-letters/retry", json={"all": True})

    assert (200, BATCH, str(DEAD_LETTER.place)) == (status, body["count"], body["next_cursor"])


async def test_a_message_is_explained() -> None:
    """The answer has the sentences that the command prints."""
    status, body = await ask(FakeAdminStore(), "GET", f"/messages/{MESSAGE_ID}/explanation")

    assert 200 == status
    (explanation,) = body["explanations"]
    assert "It is owed to support/crm." == explanation["happened"][1]
    held = "It stays unread until an operator decides about the dead letter of support/crm."
    assert [held] == explanation["next"]
    assert (
        f"relay dead-letters retry {MESSAGE_ID} --endpoint support/crm" in (explanation["commands"])
    )


async def test_an_unknown_message_is_explained_as_such() -> None:
    """404 says why the journal may not know it."""
    status, body = await ask(FakeAdminStore(), "GET", "/messages/nothing/explanation")

    assert 404 == status
    assert body["detail"].startswith("the journal knows no message nothing: either it never came")


# --- Receivers ------------------------------------------------------------------------------------

BACK = f"{API}/endpoints/support/crm/back"
OWN = "a-receiver-of-its-own"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("admin", ["", TOKEN])
async def test_a_receiver_says_that_it_is_back(admin: str) -> None:
    """Its own token opens this and nothing else, whether the admin's is set or not."""
    store, events = FakeAdminStore(), list[Event]()
    options: dict[str, Any] = {"token": admin, "back": {CRM: OWN}}
    off = 401 if admin else 404

    async with calling(store, bearer(OWN), events, **options) as client:
        async with client.post(BACK) as answer:
            assert (200, "back") == (answer.status, (await answer.json())["action"])
        for method, path in (
            ("POST", "/endpoints/support/crm/resume"),
            ("GET", "/messages"),
            ("GET", "/openapi.json"),
            ("GET", "/nothing"),
        ):
            async with client.request(method, f"{API}{path}") as answer:
                assert off == (await read_problem(answer))["status"]

    assert [("back", CRM)] == store.asked
    acted = OperatorActed(
        "receiver", "127.0.0.1", "endpointIsBack", "bot=support name=crm", 1, "ok"
    )
    assert acted == events[0]


@pytest.mark.parametrize(
    ("path", "token"),
    [
        (BACK, "wrong"),
        (BACK, f"{OWN}x"),
        (f"{API}/endpoints/support/log/back", OWN),
        (f"{API}/endpoints/nobody/crm/back", OWN),
        (f"{API}/endpoints/nobody/crm/back", ""),
    ],
    ids=["wrong", "longer", "another's", "nobody's", "none"],
)
async def test_another_s_token_is_wrong(path: str, token: str) -> None:
    """A token is good for its own endpoint only, and who tries is told like with the admin's."""
    store, events = FakeAdminStore(), list[Event]()
    back = {CRM: OWN, CRM._replace(name="log"): "the-other's-own"}

    async with (
        calling(store, bearer(token), events, token="", back=back) as client,
        client.post(path) as answer,
    ):
        assert 401 == (await read_problem(answer))["status"]

    assert ([], [AdminRefused("127.0.0.1", given=True)]) == (store.asked, events)


async def test_no_token_opens_nothing_where_there_is_none() -> None:
    """An empty bearer is not the admin's whose token is not set."""
    store = FakeAdminStore()
    async with (
        calling(store, {"Authorization": "Bearer "}, token="", back={CRM: OWN}) as client,
        client.get(f"{API}/messages") as answer,
    ):
        assert 404 == (await read_problem(answer))["status"]
    assert [] == store.asked


async def test_a_receiver_says_so_once_a_second() -> None:
    """More often is 429, and the journal is left alone."""
    store, now = FakeAdminStore(), [NOW]

    async with calling(store, bearer(OWN), back={CRM: OWN}, clock=lambda: now[0]) as client:
        found = []
        for passed in (0.0, 0.0, 0.9, 0.2):
            now[0] += passed
            async with client.post(BACK) as answer:
                found.append((answer.status, answer.headers.get("Retry-After")))

    assert [(200, None), (429, "1"), (429, "1"), (200, None)] == found
    assert [("back", CRM)] * 2 == store.asked


async def test_the_operator_may_say_it_too() -> None:
    """The admin's token opens everything."""
    status, _ = await ask(FakeAdminStore(), "POST", "/endpoints/support/crm/back")

    assert 200 == status


# --- What operators did ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "asked", "count", "result"),
    [
        ("/dead-letters/retry", {"all": True, "reason": "dns"}, "reason=dns all=True", 1, "ok"),
        (
            "/dead-letters/discard",
            {"message_ids": [f"{n}" for n in range(12)], "mark_read": True},
            "message_ids=0,1,2,3,4,5,6,7,8,9,and 2 more mark_read=True",
            1,
            "ok",
        ),
        ("/endpoints/support/crm/pause", None, "bot=support name=crm", 1, "ok"),
        ("/endpoints/support/other/resume", None, "bot=support name=other", 0, "not found"),
    ],
)
async def test_every_action_is_told(
    path: str, body: object, asked: str, count: int, result: str
) -> None:
    """Who, what, on which, how many, and what came of it."""
    events: list[Event] = []

    async with (
        calling(FakeAdminStore(), events=events) as client,
        client.post(f"{API}{path}", json=body) as answer,
    ):
        await answer.read()

    (told,) = events
    assert isinstance(told, OperatorActed)
    assert ("api", "127.0.0.1", asked, count, result) == (
        told.actor,
        told.peer,
        told.asked,
        told.count,
        told.result,
    )


async def test_looking_is_no_action() -> None:
    """Who only reads is not told of."""
    events: list[Event] = []
    async with (
        calling(FakeAdminStore(), events=events) as client,
        client.get(f"{API}/messages") as answer,
    ):
        assert 200 == answer.status
    assert [] == events


# --- Mistakes and trouble -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/messages?limit=0", "limit"),
        ("/messages?limit=1001", "limit"),
        ("/messages?limit=many", "limit"),
        ("/messages?outcome=lost", "outcome"),
        ("/messages?bot=a&bot=b", "bot"),
        ("/messages?bott=a", "bott"),
        ("/dead-letters?ended_before=yesterday", "ended_before"),
        ("/dead-letters?since=0", "since"),
        ("/dead-letters?cursor=1", "cursor"),
        ("/messages?until=2020-11-02", "until"),
        ("/messages?older_than=2w", "older_than"),
        ("/messages?state=lost", "state"),
        ("/messages?cursor=x", "cursor"),
        ("/endpoints?bot=a", "bot"),
    ],
)
async def test_a_wrong_parameter_is_named(path: str, where: str) -> None:
    """422 says which parameter is wrong, and the journal is not asked."""
    store = FakeAdminStore()

    status, problem = await ask(store, "GET", path)

    assert 422 == status
    assert [where] == [mistake["where"] for mistake in problem["mistakes"]]
    assert [] == store.asked


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/messages?conversation=a", "unknown; did you mean conversation_id?"),
        ("/replays?bot=a", "unknown; expected nothing"),
        ("/messages?older_than=2w", "expected a duration such as 500ms, 10s, 5m, 72h or 7d"),
        ("/messages?cursor=x", "expected the next_cursor of an earlier answer"),
        ("/messages?since=2h", "expected a time such as 2026-11-22T08:00:00Z"),
        ("/messages?pending=x", "expected true or false"),
        (
            "/messages?state=lost",
            "expected one of pending, failing, read, unwanted, dead, discarded",
        ),
        (
            "/dead-letters?reason=400",
            f"expected one of {', '.join(Reason)}, removed",
        ),
    ],
)
async def test_what_is_wrong_is_said_plainly(path: str, what: str) -> None:
    """What is expected, in the words of the command line and not of a library."""
    _, problem = await ask(FakeAdminStore(), "GET", path)
    assert [what] == [mistake["what"] for mistake in problem["mistakes"]]


async def test_an_unknown_field_names_those_that_are() -> None:
    """A name that is like none is answered with all of them; a missing one is missing."""
    _, problem = await ask(FakeAdminStore(), "POST", "/replays", json={"xyz": 1})
    told = {mistake["where"]: mistake["what"] for mistake in problem["mistakes"]}
    assert "unknown; expected one of bot, endpoint, since, until" == told["xyz"]
    assert "missing" == told["since"]
    _, problem = await ask(FakeAdminStore(), "POST", "/dead-letters/retry", data=b"")
    assert [{"where": "", "what": "either message_ids or all: true is needed, and not both"}] == (
        problem["mistakes"]
    )


@pytest.mark.parametrize("path", ["/messages?", "/dead-letters?"])
@pytest.mark.parametrize(
    ("filters", "named"),
    [
        ("endpoint=nope", "endpoint nope"),
        ("endpoint=support/nope", "endpoint support/nope"),
        ("endpoint=support/crm&bot=sales", "endpoint sales/support/crm"),
        ("bot=nope", "bot nope"),
    ],
)
async def test_a_name_that_nobody_has(path: str, filters: str, named: str) -> None:
    """Nothing found by a wrong name is no good news: 404 says which names there are."""
    status, problem = await ask(FakeAdminStore(empty=True), "GET", f"{path}{filters}")
    assert (404, f"no {named}; expected one of support/crm") == (status, problem["detail"])


@pytest.mark.parametrize("action", ["retry", "discard"])
async def test_nothing_is_acted_on_by_a_wrong_name(action: str) -> None:
    """Nor does an action that did nothing look like one that had nothing to do."""
    body = {"all": True, "endpoint": "nope"}
    status, _ = await ask(FakeAdminStore(empty=True), "POST", f"/dead-letters/{action}", json=body)
    assert 404 == status
    body = {"all": True, "endpoint": "crm"}
    status, done = await ask(
        FakeAdminStore(empty=True), "POST", f"/dead-letters/{action}", json=body
    )
    assert (200, 0) == (status, done["count"])


@pytest.mark.parametrize("path", ["/messages", "/dead-letters"])
async def test_an_endpoint_by_its_whole_name(path: str) -> None:
    """BOT/NAME, as the commands print it, is as good as two parameters."""
    store = FakeAdminStore()
    await ask(store, "GET", f"{path}?endpoint=support/crm")
    await ask(store, "GET", f"{path}?endpoint=crm&bot=support")
    whole, parts = (asked[1] for asked in store.asked)
    assert isinstance(whole, MessageQuery | DeadLetterQuery)
    assert ("support", "crm") == (whole.bot, whole.endpoint)
    assert whole == parts


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/messages", None),
        ("GET", f"/messages/{MESSAGE_ID}", None),
        ("GET", "/dead-letters", None),
        ("POST", "/dead-letters/retry", {"all": True}),
        ("POST", "/dead-letters/discard", {"all": True}),
        ("GET", "/endpoints", None),
        ("POST", "/endpoints/support/crm/pause", None),
        ("POST", "/endpoints/support/crm/resume", None),
        ("POST", "/endpoints/support/crm/back", None),
        ("GET", f"/messages/{MESSAGE_ID}/explanation", None),
    ],
)
async def test_a_journal_in_trouble_is_503(method: str, path: str, body: object) -> None:
    """Every operation says that it may be tried again, without the error's own words."""
    status, problem = await ask(FakeAdminStore(available=False), method, path, json=body)

    assert 503 == status
    assert "secret" not in json.dumps(problem)


async def test_a_journal_in_trouble_says_when_to_ask_again() -> None:
    """503 has a Retry-After."""
    store = FakeAdminStore(available=False)
    async with calling(store) as client, client.get(f"{API}/endpoints") as answer:
        assert "5" == answer.headers["Retry-After"]


@pytest.mark.parametrize("path", ["/nothing", "/messages/a/b", ""])
async def test_an_unknown_path_is_404(path: str) -> None:
    """With the token, what is not there is not found."""
    async with calling(FakeAdminStore()) as client, client.get(f"{API}{path}") as answer:
        assert 404 == (await read_problem(answer))["status"]


async def test_a_wrong_method_is_405() -> None:
    """Nothing is done by a GET that a POST does."""
    store = FakeAdminStore()
    path = f"{API}/endpoints/support/crm/pause"
    async with calling(store) as client, client.get(path) as answer:
        assert 405 == (await read_problem(answer))["status"]
    assert [] == store.asked


async def test_answers_have_no_banner() -> None:
    """The API's answers tell nothing of what serves them, either."""
    async with calling(FakeAdminStore()) as client, client.get(f"{API}/endpoints") as answer:
        assert "Server" not in answer.headers


# --- Reloading ------------------------------------------------------------------------------------


async def ask_to_reload(answer: Reloaded | ReloadRefused, body: Any) -> tuple[int, Any, list[bool]]:
    """Ask a relay that answers so; tells what it was asked as well."""
    asked: list[bool] = []

    async def reload(*, discard_owed: bool) -> Reloaded:
        asked.append(discard_owed)
        if isinstance(answer, ReloadRefused):
            raise answer
        return answer

    app = admin_app(
        AdminApi(FakeAdminStore(), lambda: NOW, reread=reload),
        TOKEN,
        tell=lambda _: None,
        version="1.2.3",
    )
    async with serving(admin=app, headers=BEARER) as client:
        async with client.get(f"{API}/openapi.json") as described:
            document = await described.json()
        async with client.post(f"{API}/reload", json=body) as answered:
            said = await answered.json()
            responses = _operation(document, "POST", "/reload")["responses"]
            schema = responses[str(answered.status)]["content"][answered.content_type]["schema"]
            check(said, schema, document)
            return answered.status, said, asked


async def test_a_reload_answers_what_changed() -> None:
    """By name; nothing is discarded unless that is asked for."""
    change = EndpointChange("support/crm", ("url",))
    done = Reloaded(("support/log",), (), (change,), ("drain_timeout",), 7, ("sales",))
    for body, discard in (({}, False), ({"discard_owed": True}, True)):
        status, said, asked = await ask_to_reload(done, body)
        assert (200, [discard]) == (status, asked)
        assert {
            "added": ["support/log"],
            "removed": [],
            "changed": [{"endpoint": "support/crm", "keys": ["url"]}],
            "settings": ["drain_timeout"],
            "discarded": 7,
            "bots_added": ["sales"],
            "bots_removed": [],
            "bots_restarted": [],
        } == said


async def test_a_reload_needs_no_body() -> None:
    """Nothing has to be asked, so nothing has to be said."""
    assert (200, [False]) == (await ask_to_reload(Reloaded(), None))[::2]


async def test_a_refused_reload_is_a_conflict() -> None:
    """With a mistake for each reason; a value that is no boolean is none at all."""
    refused = ReloadRefused("support/log: is owed 3 deliveries", "the journal takes no writes")
    status, said, _ = await ask_to_reload(refused, {})
    assert 409 == status
    assert [
        {"where": "support/log", "what": "is owed 3 deliveries"},
        {"where": "", "what": "the journal takes no writes"},
    ] == said["mistakes"]
    status, _, asked = await ask_to_reload(refused, {"discard_owed": "yes"})
    assert (422, []) == (status, asked)


async def test_without_settings_to_read_a_reload_is_refused() -> None:
    """As for a relay that was not started from settings."""
    status, _ = await ask(FakeAdminStore(), "POST", "/reload", json={})
    assert 409 == status
