"""The admin API over HTTP: who may ask, what is asked, and how mistakes are answered."""

import hmac
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from pydantic import BaseModel, ValidationError

from relay.desk import Desk, Reload, Reloaded, ReloadRefused
from relay.facts import AdminRefused, Telemetry
from relay.ops.admin_document import openapi
from relay.ops.admin_operations import OPERATIONS, Asked, NotKnown, Office, Operation
from relay.ops.problem import Mistake, problem
from relay.ports import Clock, JournalUnavailable

RETRY_AFTER = "5"
"""Seconds; a disk in trouble is not helped by asking sooner."""


def admin_app(
    desk: Desk,
    token: str,
    *,
    tell: Telemetry,
    clock: Clock,
    version: str,
    reload: Reload | None = None,
) -> web.Application:
    """Make the API that `relay.ops.server.Server` serves under `/api`. An empty token is a bug."""
    if not token:
        raise ValueError("an admin API without a token")
    app = web.Application(middlewares=[_bearer(token, tell)])
    office = Office(desk, clock, reload or _no_reload)
    for operation in OPERATIONS:
        app.router.add_route(operation.method, f"/v1{operation.path}", _serving(operation, office))
    app.router.add_get("/v1/openapi.json", _document(openapi(version)))
    return app


async def _no_reload(*, discard_owed: bool) -> Reloaded:  # noqa: ARG001 - a `Reload`
    raise ReloadRefused("there are no settings to read anew")


def _bearer(token: str, tell: Telemetry) -> Middleware:
    expected = f"bearer {token}".encode()

    @web.middleware
    async def authorize(request: web.Request, handler: Handler) -> web.StreamResponse:
        scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        said = f"{scheme.lower()} {given.strip()}".encode(errors="surrogateescape")
        if hmac.compare_digest(said, expected):
            return await handler(request)
        tell(AdminRefused(request.remote or "", given=hdrs.AUTHORIZATION in request.headers))
        return problem(
            HTTPStatus.UNAUTHORIZED,
            "a bearer token is needed",
            headers={hdrs.WWW_AUTHENTICATE: 'Bearer realm="relay"'},
        )

    return authorize


def _document(document: dict[str, Any]) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(document)

    return answer


def _serving(operation: Operation, office: Office) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        try:
            ask = await _asked(operation, request)
        except ValidationError as error:
            return _mistaken(error)
        try:
            done = await operation.run(office, ask)
        except NotKnown as error:
            return problem(HTTPStatus.NOT_FOUND, str(error))
        except ReloadRefused as refused:
            return problem(
                HTTPStatus.CONFLICT,
                "the settings are refused, and the old ones stay",
                mistakes=[_refusal(mistake) for mistake in refused.mistakes],
            )
        except JournalUnavailable:
            return problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the journal takes no reads or writes at the moment",
                headers={hdrs.RETRY_AFTER: RETRY_AFTER},
            )
        return web.Response(text=done.model_dump_json(), content_type="application/json")

    return answer


def _refusal(mistake: str) -> Mistake:
    where, found, what = mistake.partition(": ")
    return Mistake(where=where, what=what) if found else Mistake(where="", what=mistake)


async def _asked(operation: Operation, request: web.Request) -> BaseModel:
    match operation.asked:
        case Asked.BODY:
            return operation.ask.model_validate_json(await request.read())
        case Asked.QUERY:
            query = {name: request.query.getall(name) for name in request.query}
            singles = {name: v[0] if len(v) == 1 else v for name, v in query.items()}
            return operation.ask.model_validate({**singles, **request.match_info})


def _mistaken(error: ValidationError) -> web.Response:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    no_json = any(mistake["type"] == "json_invalid" for mistake in found)
    return problem(
        HTTPStatus.BAD_REQUEST if no_json else HTTPStatus.UNPROCESSABLE_ENTITY,
        mistakes=[Mistake(where=".".join(map(str, m["loc"])), what=m["msg"]) for m in found],
    )
