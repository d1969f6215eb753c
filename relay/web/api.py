"""The admin API over HTTP: who may ask, what is asked, and how mistakes are answered."""

import asyncio
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from pydantic import BaseModel, ValidationError

from relay.admin.inquiry import Inquiry
from relay.admin.names import NotKnown
from relay.admin.operations import (
    BACK_EVERY,
    OPERATIONS,
    AdminApi,
    Asked,
    Contradiction,
    Operation,
    TooSoon,
)
from relay.admin.queries import said
from relay.model.admin import AdminStore, Reload, Reloaded, ReloadRefused
from relay.model.ports import Clock, JournalDamaged, JournalUnavailable
from relay.telemetry.events import AdminRefused, OperatorActed, Telemetry
from relay.web.auth import ACTOR, RECEIVERS, BackTokens, Keys
from relay.web.mistakes import mistakes
from relay.web.openapi import openapi
from relay.web.problem import Mistake, problem
from relay.web.throttle import Throttle

RETRY_AFTER = "5"
"""Seconds; a disk in trouble is not helped by asking sooner."""


def admin_app(
    desk: AdminStore,
    token: str,
    *,
    inquiry: Inquiry,
    tell: Telemetry,
    clock: Clock,
    version: str,
    reload: Reload | None = None,
    back_tokens: BackTokens | None = None,
    throttle: Throttle | None = None,
) -> web.Application:
    """Make the API that `relay.web.server.Server` serves under `/api`.

    `token` opens all of it, and each of `back_tokens` what the receiver of that endpoint may do;
    with an empty `token` the rest is off. Neither of them is a bug.
    """
    if not token and back_tokens is None:
        raise ValueError("an admin API without a token")
    keys = Keys(token, back_tokens or dict)
    app = web.Application(middlewares=[_bearer(keys, throttle or Throttle(clock), tell)])
    office = AdminApi(desk, clock, inquiry, reload or _no_reload)
    for operation in OPERATIONS:
        handler = _serving(operation, office, tell)
        name = RECEIVERS if operation.by_receiver else None
        app.router.add_route(operation.method, f"/v1{operation.path}", handler, name=name)
    app.router.add_get("/v1/openapi.json", _document(openapi(version)))
    return app


async def _no_reload(*, discard_owed: bool) -> Reloaded:  # noqa: ARG001 - a `Reload`
    raise ReloadRefused("there are no settings to read anew")


def _bearer(keys: Keys, throttle: Throttle, tell: Telemetry) -> Middleware:
    @web.middleware
    async def authorize(request: web.Request, handler: Handler) -> web.StreamResponse:
        peer, given = request.remote or "", hdrs.AUTHORIZATION in request.headers
        if given and (delay := throttle.delay(peer)):
            await asyncio.sleep(delay)
        who = keys.who(request)
        if who is not None:
            request[ACTOR] = who
            return await handler(request)
        if keys.is_off_for(request):
            return problem(HTTPStatus.NOT_FOUND, "the admin API is off: no admin token is set")
        again_in = throttle.wrong(peer) if given else None
        tell(AdminRefused(peer, given=given, throttled=again_in is not None))
        if again_in is not None:
            return _later(HTTPStatus.TOO_MANY_REQUESTS, "too many wrong tokens", f"{again_in:.0f}")
        return problem(
            HTTPStatus.UNAUTHORIZED,
            "the bearer token is wrong here" if given else "a bearer token is needed",
            headers={hdrs.WWW_AUTHENTICATE: 'Bearer realm="relay"'},
        )

    return authorize


def _document(document: dict[str, Any]) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(document)

    return answer


def _serving(operation: Operation, office: AdminApi, tell: Telemetry) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        try:
            ask = await _asked(operation, request)
        except ValidationError as error:
            return _mistaken(error, operation.ask)
        answered, done = await _run(operation, office, ask)
        if operation.method != hdrs.METH_GET:
            count = getattr(done, "count", 1) if done is not None else 0
            result = HTTPStatus(answered.status).phrase.lower()
            fact = OperatorActed(
                request[ACTOR], request.remote or "", operation.name, said(ask), count, result
            )
            tell(fact)
        return answered

    return answer


async def _run(
    operation: Operation, office: AdminApi, ask: BaseModel
) -> tuple[web.Response, BaseModel | None]:
    try:
        done = await operation.run(office, ask)
    except NotKnown as error:
        return problem(HTTPStatus.NOT_FOUND, str(error)), None
    except Contradiction as error:
        return problem(HTTPStatus.CONFLICT, str(error)), None
    except ReloadRefused as refused:
        why = "the settings are refused, and the old ones stay"
        reasons = [_refusal(mistake) for mistake in refused.mistakes]
        return problem(HTTPStatus.CONFLICT, why, mistakes=reasons), None
    except TooSoon:
        return _later(HTTPStatus.TOO_MANY_REQUESTS, "asked a moment ago", f"{BACK_EVERY:.0f}"), None
    except (JournalUnavailable, JournalDamaged):
        why = "the journal takes no reads or writes at the moment"
        return _later(HTTPStatus.SERVICE_UNAVAILABLE, why, RETRY_AFTER), None
    return web.Response(text=done.model_dump_json(), content_type="application/json"), done


def _later(status: HTTPStatus, why: str, seconds: str) -> web.Response:
    return problem(status, why, headers={hdrs.RETRY_AFTER: seconds})


def _refusal(mistake: str) -> Mistake:
    where, found, what = mistake.partition(": ")
    return Mistake(where=where, what=what) if found else Mistake(where="", what=mistake)


async def _asked(operation: Operation, request: web.Request) -> BaseModel:
    match operation.asked:
        case Asked.BODY:
            return operation.ask.model_validate_json(await request.read() or b"{}")
        case Asked.QUERY:
            query = {name: request.query.getall(name) for name in request.query}
            singles = {name: v[0] if len(v) == 1 else v for name, v in query.items()}
            return operation.ask.model_validate({**singles, **request.match_info})


def _mistaken(error: ValidationError, ask: type[BaseModel]) -> web.Response:
    no_json = any(mistake["type"] == "json_invalid" for mistake in error.errors())
    return problem(
        HTTPStatus.BAD_REQUEST if no_json else HTTPStatus.UNPROCESSABLE_ENTITY,
        mistakes=mistakes(error, ask),
    )
