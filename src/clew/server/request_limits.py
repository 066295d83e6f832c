"""How many requests one caller may have under way: watches and long waits among them."""

from __future__ import annotations

from collections import Counter

from starlette.types import ASGIApp, Receive, Scope, Send

from clew.server.replies import error_reply


class LimitedRequests:
    """An app that takes at most ``most`` requests at a time of each caller.

    A watch is one request, for as long as it lasts.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._under_way: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = str((scope.get("client") or ("",))[0])
        if self._under_way[caller] >= self._most:
            problem = f"{self._most} requests of {caller or 'this caller'} are under way already"
            hint = "end some watches, or wait until others are answered"
            await error_reply(429, "TooMany", problem, hint)(scope, receive, send)
            return
        self._under_way[caller] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way[caller] -= 1
            if not self._under_way[caller]:
                del self._under_way[caller]
