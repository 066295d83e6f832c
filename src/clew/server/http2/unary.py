"""Calls with one request and one response."""

from __future__ import annotations

from collections.abc import Callable

from clew.server.http2.call import INVALID_ARGUMENT, Call, Method


class Refusal(Exception):
    """The request is not granted; the text tells the caller why."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def unary(answer: Callable[[Call, bytes], bytes], longest: int) -> Method:
    """A method that answers a message of at most ``longest`` bytes; it may raise Refusal."""
    return Method(lambda call: _Unary(call, answer), longest)


class _Unary:
    def __init__(self, call: Call, answer: Callable[[Call, bytes], bytes]) -> None:
        self._call = call
        self._answer = answer

    def message(self, body: bytes) -> None:
        try:
            self._call.send(self._answer(self._call, body))
            self._call.finish()
        except Refusal as refusal:
            self._call.finish(refusal.code, str(refusal))

    def ended(self) -> None:
        self._call.finish(INVALID_ARGUMENT, "the request is missing")

    def drained(self) -> None: ...

    def closed(self) -> None: ...
