"""The admin API over HTTP: who may ask, what is asked, how mistakes are answered; its document."""

import asyncio
from functools import cache
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from relay.admin.answers import Schema, schema_of, to_json
from relay.admin.operations import (
    BACK_EVERY,
    OPERATIONS,
    AdminApi,
    Contradiction,
    NotKnown,
    Operation,
    TooSoon,
)
from relay.admin.parameters import Mistakes, NotJson, Values, of_body, of_query
from relay.model.admin import ReloadRefused
from relay.model.ports import JournalDamaged, JournalUnavailable
from relay.telemetry.events import AdminRefused, OperatorActed, Telemetry
from relay.web.auth import ACTOR, RECEIVERS, BackTokens, Keys, Throttle
from relay.web.problem import PROBLEM_JSON, Mistake, Problem, problem

RETRY_AFTER = "5"
"""Seconds; a disk in trouble is not helped by asking sooner."""


def admin_app(
    admin: AdminApi,
    token: str,
    *,
    tell: Telemetry,
    version: str,
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
    app = web.Application(middlewares=[_bearer(keys, throttle or Throttle(admin.clock), tell)])
    for operation in OPERATIONS:
        name = RECEIVERS if operation.by_receiver else None
        handler = _serving(operation, admin, tell)
        app.router.add_route(operation.method, f"/v1{operation.path}", handler, name=name)
    app.router.add_get("/v1/openapi.json", _document(version))
    return app


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


def _document(version: str) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(openapi(version))

    return answer


def _serving(operation: Operation, admin: AdminApi, tell: Telemetry) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        try:
            asked = await _asked(operation, request)
            arguments = operation.arguments(asked, admin.clock())
        except NotJson:
            return problem(HTTPStatus.BAD_REQUEST, "the body is no JSON")
        except Mistakes as wrong:
            found = [Mistake(where, what) for where, what in wrong.mistakes]
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, mistakes=found)
        response, count = await _run(operation, admin, arguments)
        if operation.method != hdrs.METH_GET:
            peer, words = request.remote or "", operation.words(asked)
            result = HTTPStatus(response.status).phrase.lower()
            tell(OperatorActed(request[ACTOR], peer, operation.name, words, count, result))
        return response

    return answer


async def _asked(operation: Operation, request: web.Request) -> Values:
    if operation.in_body:
        return of_body(operation.parameters, await request.read())
    given = [*request.query.items(), *request.match_info.items()]
    return of_query(operation.parameters, given)


async def _run(
    operation: Operation, admin: AdminApi, arguments: Values
) -> tuple[web.Response, int]:
    """Return the response, and to how many something was done."""
    try:
        done = await operation.run(admin, **arguments)
    except NotKnown as error:
        return problem(HTTPStatus.NOT_FOUND, str(error)), 0
    except Contradiction as error:
        return problem(HTTPStatus.CONFLICT, str(error)), 0
    except ReloadRefused as refused:
        why = "the settings are refused, and the old ones stay"
        reasons = [_refusal(mistake) for mistake in refused.mistakes]
        return problem(HTTPStatus.CONFLICT, why, mistakes=reasons), 0
    except TooSoon:
        return _later(HTTPStatus.TOO_MANY_REQUESTS, "asked a moment ago", f"{BACK_EVERY:.0f}"), 0
    except (JournalUnavailable, JournalDamaged):
        why = "the journal takes no reads or writes at the moment"
        return _later(HTTPStatus.SERVICE_UNAVAILABLE, why, RETRY_AFTER), 0
    response = web.Response(text=to_json(done), content_type="application/json")
    return response, getattr(done, "count", 1)


def _later(status: HTTPStatus, why: str, seconds: str) -> web.Response:
    return problem(status, why, headers={hdrs.RETRY_AFTER: seconds})


def _refusal(mistake: str) -> Mistake:
    where, found, what = mistake.partition(": ")
    return Mistake(where, what) if found else Mistake("", mistake)


_AT = "#/components/schemas/"

_PROBLEMS = {
    "400": "The body is no JSON",
    "401": "The bearer token is missing or wrong",
    "404": "The journal does not know it, or not the bot or endpoint that is named",
    "409": "What is asked can't be, or the settings are refused: `mistakes` says why",
    "413": "The body is too large",
    "422": "A parameter is wrong; `mistakes` says which",
    "429": "Too many wrong tokens came from this address",
    "503": "The journal takes no reads or writes at the moment",
}

_TOO_SOON = {"429": "It was asked a moment ago, or too many wrong tokens came from this address"}


@cache
def openapi(version: str) -> Schema:
    """Describe the API as OpenAPI 3.1, for the given version of the relay."""
    schemas: dict[str, Schema] = {}
    paths: dict[str, Schema] = {}
    for operation in OPERATIONS:
        methods = paths.setdefault(f"/api/v1{operation.path}", {})
        methods[operation.method.lower()] = _described(operation, schemas)
    schemas[Problem.__name__]["required"] = ["type", "title", "status"]  # the rest may be left out
    return {
        "openapi": "3.1.0",
        "info": {"title": "Blaze Relay admin API", "version": version},
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _described(operation: Operation, schemas: dict[str, Schema]) -> Schema:
    answer = schema_of(operation.answer, schemas, _AT)
    refusal = {"content": {PROBLEM_JSON: {"schema": schema_of(Problem, schemas, _AT)}}}
    problems = _PROBLEMS | _TOO_SOON if operation.by_receiver else _PROBLEMS
    described: Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        "responses": {
            "200": {"description": "Done", "content": {"application/json": {"schema": answer}}},
            **{status: {"description": why, **refusal} for status, why in problems.items()},
        },
    }
    if operation.in_body:
        return described | {"requestBody": _body(operation)}
    return described | {"parameters": _parameters(operation)}


def _body(operation: Operation) -> Schema:
    needed = [name for name, each in operation.parameters.items() if each.required]
    schema = {
        "type": "object",
        "properties": {name: each.schema for name, each in operation.parameters.items()},
        "required": needed,
        "additionalProperties": False,
        **operation.schema,
    }
    required = bool(needed or operation.schema)
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path" if name in operation.in_path else "query",
            "required": each.required,
            "schema": each.schema,
        }
        for name, each in operation.parameters.items()
    ]
