"""Errors of the HTTP surface as problem details (RFC 9457), whatever goes wrong."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

PROBLEM_JSON = "application/problem+json"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that a request got wrong; `where` is the name of the parameter."""

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Problem:
    """The answer to a request that went wrong."""

    type: str
    title: str
    status: int
    detail: str = ""
    mistakes: Sequence[Mistake] = ()


def problem(
    status: int,
    detail: str = "",
    *,
    mistakes: Sequence[Mistake] = (),
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Make the answer to a request that went wrong."""
    said = Problem("about:blank", HTTPStatus(status).phrase, status, detail, mistakes)
    return web.Response(
        status=status,
        text=json.dumps(
            {name: part for name, part in asdict(said).items() if part}, separators=(",", ":")
        ),
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
