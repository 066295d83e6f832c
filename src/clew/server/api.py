"""The admin API: JSON over HTTP on a Unix socket that only the mesh's owner may open."""

from __future__ import annotations

import asyncio
import pwd
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from clew.api.messages import (
    Finding,
    ProblemList,
    ProxyList,
    ProxyStatus,
    Readiness,
    finding,
)
from clew.model.diagnostic import Diagnostic
from clew.server.listening import listen, user_of
from clew.server.object_standings import Standings
from clew.server.objects import Objects
from clew.server.replies import EXCEPTION_HANDLERS, reply
from clew.server.request_limits import LimitedRequests
from clew.stores.store import Store

# Of one Unix user: the supervisor, agents and whoever watches.
_MOST_REQUESTS = 1000


def peer_author(request: Request) -> str:
    """The Unix user at the other end of the socket, "" when it is not known."""
    return request.client.host if request.client else ""


def build_app(
    store: Store,
    *,
    mesh_status: Callable[[], Sequence[ProxyStatus]],
    now: Callable[[], datetime],
    author_of: Callable[[Request], str] = peer_author,
    problems: Callable[[], Sequence[Diagnostic]] = tuple,
    ready: Callable[[], bool] = lambda: True,
    published: Callable[[], int] = lambda: 0,
    standings: Standings | None = None,
) -> Starlette:
    """Return the API over a store; the callables answer at once.

    ``published``: the revision up to which changes have been published. ``standings``: who says
    whether objects are in force; without one, their status is what is stored.

    The event ``app.state.closing`` ends the watch streams.
    """

    async def proxies(_request: Request) -> Response:
        refusals = standings.refusals() if standings is not None else ()
        found = ProxyList(proxies=tuple(mesh_status()), revision=published(), refusals=refusals)
        return reply(found)

    async def list_problems(_request: Request) -> Response:
        found: tuple[Finding, ...] = tuple(finding(problem) for problem in problems())
        return reply(ProblemList(problems=found))

    async def readiness(_request: Request) -> Response:
        is_ready = ready()
        message = Readiness(ready=is_ready, revision=await store.revision())
        return reply(message, status=200 if is_ready else 503)

    closing = asyncio.Event()
    objects = Objects(
        store=store, now=now, author_of=author_of, closing=closing, standings=standings
    )
    routes = [
        Route("/ready", readiness, methods=["GET"]),
        Route("/v1/proxies", proxies, methods=["GET"]),
        Route("/v1/problems", list_problems, methods=["GET"]),
        *objects.routes(),
    ]
    app = Starlette(routes=routes, exception_handlers=EXCEPTION_HANDLERS)
    app.state.closing = closing
    return app


async def serve_api(app: Starlette, path: Path) -> None:
    """Serve the app on a Unix socket until cancelled; streams end, then the socket is removed.

    Raises: OSError when another process serves there.
    """
    limited = LimitedRequests(app, _MOST_REQUESTS)
    server = ApiServer(api_config(limited, protocol=_PeerProtocol), app.state.closing)
    with _unix_socket(path) as listener:
        async with server.serving(listener) as serving:
            await asyncio.shield(serving)


def api_config(
    app: ASGIApp, *, protocol: type[H11Protocol], limit_concurrency: int | None = None
) -> uvicorn.Config:
    """What holds wherever the API is served. No header says who a client is."""
    return uvicorn.Config(
        app,
        http=protocol,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=limit_concurrency,
        timeout_graceful_shutdown=2,
    )


class ApiServer(uvicorn.Server):
    """Uvicorn that ends streams when it stops, and leaves signals to the process."""

    def __init__(self, config: uvicorn.Config, closing: asyncio.Event) -> None:
        super().__init__(config)
        self._closing = closing

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # The streams notice when the listener is closed already: their clients find nobody.
        self._closing.set()
        await super().shutdown(sockets)

    @asynccontextmanager
    async def serving(self, listener: socket.socket) -> AsyncIterator[asyncio.Future[None]]:
        """Serve while the context lasts; then streams end, and the listener is closed."""
        with listener:
            serving = asyncio.ensure_future(self.serve(sockets=[listener]))
            try:
                yield serving
            finally:
                self.should_exit = True
                await serving

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _PeerProtocol(H11Protocol):
    """Puts the Unix user of the client where an address would be."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        super().connection_made(transport)
        peer = transport.get_extra_info("socket")
        if peer is not None:
            self.client = (_peer_user(peer), 0)


def _peer_user(peer: socket.socket) -> str:
    user = user_of(peer)
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"uid {user}"


@contextmanager
def _unix_socket(path: Path) -> Iterator[socket.socket]:
    with listen(f"unix:{path}") as listener:
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)
