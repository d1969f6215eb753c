"""Errors of the HTTP surface as problem details (RFC 9457), whatever goes wrong."""

import logging
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ValidationError

PROBLEM_JSON = "application/problem+json"

_log = logging.getLogger(__name__)


class Mistake(BaseModel):
    """One thing that a request got wrong; `where` is the path of the field."""

    where: str
    what: str


class Problem(BaseModel):
    """The answer to a request that went wrong."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    mistakes: Sequence[Mistake] | None = None


def problem(
    status: int,
    detail: str | None = None,
    *,
    mistakes: Sequence[Mistake] | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Make the answer to a request that went wrong."""
    said = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, mistakes=mistakes)
    return web.Response(
        status=status,
        text=said.model_dump_json(exclude_none=True),
        content_type=PROBLEM_JSON,
        headers=headers,
    )


def mistaken(error: ValidationError, ask: type[BaseModel]) -> web.Response:
    """Say of each field of a request what is wrong with it; of an unknown name, which there are."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    no_json = any(each["type"] == "json_invalid" for each in found)
    return problem(
        HTTPStatus.BAD_REQUEST if no_json else HTTPStatus.UNPROCESSABLE_ENTITY,
        mistakes=[
            Mistake(where=".".join(map(str, each["loc"])), what=_what(each, ask)) for each in found
        ],
    )


def _what(mistake: Mapping[str, Any], ask: type[BaseModel]) -> str:
    said = str(mistake["msg"])
    match mistake["type"]:
        case "extra_forbidden":
            known = sorted(field.alias or name for name, field in ask.model_fields.items())
            return _unknown(str(mistake["loc"][-1]), known)
        case "missing":
            return "missing"
        case "value_error":
            return said.removeprefix("Value error, ")
        case _:
            said = said.replace("Input should be ", "expected ")
            return said.replace(", unable to interpret input", "")


def _unknown(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    if near:
        return f"unknown; did you mean {near[0]}?"
    return f"unknown; expected one of {', '.join(known)}" if known else "unknown; expected nothing"


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what a handler raises into a problem; a bug is logged, and its words stay inside."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        allow = error.headers.get(hdrs.ALLOW)
        return problem(error.status, headers={hdrs.ALLOW: allow} if allow else None)
    except Exception:  # noqa: BLE001 - the asker gets an answer, the log the trace
        _log.exception("http.failed")
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR)
