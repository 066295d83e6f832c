"""Answers of the admin API: messages, or what went wrong."""

from __future__ import annotations

from typing import TypeVar

import httpx2
import msgspec

from clew.api.messages import ErrorReply, Finding, Problem

T = TypeVar("T")


class ApiError(Exception):
    """The control plane refused a request; the message is for people."""

    def __init__(self, problem: Problem, diagnostics: tuple[Finding, ...] = ()) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.diagnostics = diagnostics


class Unreachable(Exception):
    """Nothing answers on the socket."""


class WatchEnded(Exception):
    """The stream is over (restart, or a revision too old): list again and watch from there."""


def decoded(kind: type[T], response: httpx2.Response, accept: int) -> T:
    if response.is_success or response.status_code == accept:
        return msgspec.json.decode(response.content, type=kind)
    raise error_of(response)


def error_of(response: httpx2.Response) -> ApiError:
    try:
        reply = msgspec.json.decode(response.content, type=ErrorReply)
    except msgspec.DecodeError:
        text = f"the control plane answered {response.status_code}: {response.text[:200]}"
        return ApiError(Problem(reason="Internal", message=text))
    return ApiError(reply.error, reply.diagnostics)
