"""Errors of the HTTP surface as problem details (RFC 9457), whatever goes wrong."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from pydantic import BaseModel

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
