"""Reading requests of the admin API, and its replies and errors as JSON."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from clew.api.messages import ErrorReply, Problem, Reason
from clew.model.base import ResourceKey
from clew.model.kinds import KINDS
from clew.stores.store import Conflict, Expired, NotFound, ReadOnly

T = TypeVar("T")

LOG = logging.getLogger("clew.api")

LARGEST_BODY = 8 * 1024 * 1024

CORE_GROUP = "core"
NO_NAMESPACE = "_"


class BadRequest(Exception):
    """The request makes no sense; the message is for whoever sent it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class TooLarge(Exception):
    """The body is over the limit."""


def reply(value: Any, *, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def error_reply(status: int, reason: Reason, message: str, hint: str = "") -> Response:
    problem = Problem(reason=reason, message=message, hint=hint)
    return reply(ErrorReply(error=problem), status=status)


async def body_of(request: Request) -> str:
    """The body as text. Raises: BadRequest, TooLarge."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LARGEST_BODY:
            raise TooLarge(
                f"the body has more than {LARGEST_BODY // 1024 // 1024} MB: "
                "apply the objects in several requests"
            )
        chunks.append(chunk)
    try:
        return b"".join(chunks).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not UTF-8: {error}") from error


async def read_body(request: Request, wanted: type[T]) -> T:
    """The body, which is JSON; an empty one is an empty object. Raises: BadRequest, TooLarge."""
    try:
        return msgspec.json.decode(await body_of(request) or "{}", type=wanted)
    except msgspec.MsgspecError as error:
        raise BadRequest(f"the body is not what this takes: {error}") from None


def key_of(request: Request) -> ResourceKey:
    """The object that the path names. Raises: NotFound for a kind that clew does not know."""
    path = request.path_params
    group = "" if path["group"] == CORE_GROUP else path["group"]
    known = [kind for kind in KINDS if kind.group == group and kind.kind == path["kind"]]
    if not known:
        raise NotFound(f'there is no kind "{path["kind"]}" in the group "{path["group"]}"')
    namespace = "" if path["namespace"] == NO_NAMESPACE else path["namespace"]
    if known[0].namespaced != bool(namespace):
        wanted = "is in a namespace" if known[0].namespaced else f'has none: write "{NO_NAMESPACE}"'
        raise NotFound(f"a {known[0].kind} {wanted}")
    return ResourceKey(group, known[0].kind, namespace, path["name"])


def text_of(request: Request, name: str) -> str:
    return request.query_params.get(name, "")


def flag(request: Request, name: str) -> bool:
    """Whether a yes-or-no query parameter is set. Raises: BadRequest."""
    text = text_of(request, name)
    if text not in ("", "true", "false", "All"):
        raise BadRequest(f'{name} is true or false, not "{text}"')
    return text in ("true", "All")


def number(request: Request, name: str) -> int | None:
    """A query parameter that is a revision, None without it. Raises: BadRequest."""
    text = text_of(request, name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise BadRequest(f'{name} is a number, not "{text}"')
    return int(text)


async def on_bad_request(_request: Request, error: Exception) -> Response:
    hint = error.hint if isinstance(error, BadRequest) else ""
    return error_reply(400, "BadRequest", str(error), hint)


async def on_too_large(_request: Request, error: Exception) -> Response:
    return error_reply(413, "TooLarge", str(error))


async def on_not_found(_request: Request, error: Exception) -> Response:
    return error_reply(404, "NotFound", str(error))


async def on_conflict(_request: Request, error: Exception) -> Response:
    return error_reply(409, "Conflict", str(error), "read it again and repeat the change")


async def on_read_only(_request: Request, error: Exception) -> Response:
    return error_reply(405, "ReadOnly", str(error))


async def on_expired(_request: Request, error: Exception) -> Response:
    return error_reply(410, "Expired", str(error))


async def on_http_error(request: Request, error: Exception) -> Response:
    """A path or method that does not exist."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    reason: Reason = "MethodNotAllowed" if status == 405 else "NotFound"
    problem = f"{request.method} {request.url.path} is not in this API"
    answer = error_reply(status, reason, problem)
    answer.headers.update(getattr(error, "headers", None) or {})
    return answer


async def on_our_mistake(request: Request, error: Exception) -> Response:
    LOG.error("request failed method=%s path=%s", request.method, request.url.path, exc_info=error)
    message = f"clew made a mistake: {type(error).__name__}: {error}"
    return error_reply(500, "Internal", message, "the log of the control plane says more")


EXCEPTION_HANDLERS: Mapping[Any, Any] = {
    BadRequest: on_bad_request,
    TooLarge: on_too_large,
    NotFound: on_not_found,
    Conflict: on_conflict,
    ReadOnly: on_read_only,
    Expired: on_expired,
    HTTPException: on_http_error,
    Exception: on_our_mistake,
}
