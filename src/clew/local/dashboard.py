"""A door from the browser to the admin API's socket: a loopback listener for one person.

Whoever can open a page on this machine could send requests here, so each must come with the
cookie that only the printed address gives, and must be meant for this listener: a Host that is not
ours is DNS rebinding, an Origin that is not ours is somebody else's page.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from clew.api.messages import ErrorReply, Problem

ADDRESS = "127.0.0.1"
_SAFE = frozenset({"GET", "HEAD"})
_TO_API = ("accept", "accept-encoding", "content-type", "if-none-match")
_FROM_API = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
_ENTER = "/enter"
_NO_LIMIT = httpx2.Timeout(30.0, read=None)
# Seconds that a connection is kept for another request: the API ends idle ones after 5, and one
# that ends just as it is asked would look as if the control plane did not answer.
_KEPT = 2.0
_WHO_ARE_YOU = (
    "This is the console of a clew mesh, and this browser has not been let in.\n"
    "Run `clew dashboard` and open the address that it prints. It works once.\n"
)


@dataclass(slots=True, kw_only=True)
class Door:
    """Who may come in: the first who brings ``token`` gets ``session`` as a cookie."""

    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.port}{_ENTER}?token={self.token}"

    @property
    def cookie(self) -> str:
        """Cookies do not tell ports apart, so the name does."""
        return f"clew-{self.port}"

    def hosts(self) -> tuple[str, ...]:
        return f"{ADDRESS}:{self.port}", f"localhost:{self.port}"

    def admits(self, token: str) -> bool:
        """Whether the token is right. It is only once."""
        admitted = bool(self.token) and secrets.compare_digest(token.encode(), self.token.encode())
        if admitted:
            self.token = ""
        return admitted

    def refusal(self, request: Request) -> Response | None:
        """Why a request may not pass, None if it may."""
        host = request.headers.get("host", "")
        if host not in self.hosts():
            return PlainTextResponse(f'"{host}" is not a name of this listener\n', 421)
        origin = request.headers.get("origin")
        foreign = request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if request.method not in _SAFE and (origin is None or foreign):
            return PlainTextResponse("changes are only taken from the console's own page\n", 403)
        if origin is not None and origin != f"http://{host}":
            return PlainTextResponse("another site's page may not ask here\n", 403)
        shown = request.cookies.get(self.cookie, "").encode()
        if not secrets.compare_digest(shown, self.session.encode()):
            return PlainTextResponse(_WHO_ARE_YOU, 401)
        return None


def api_client(socket: Path) -> httpx2.AsyncClient:
    """A client of the admin API that passes streams on for as long as they last."""
    limits = httpx2.Limits(keepalive_expiry=_KEPT)
    transport = httpx2.AsyncHTTPTransport(uds=str(socket), limits=limits)
    return httpx2.AsyncClient(transport=transport, base_url="http://clew", timeout=_NO_LIMIT)


def build_door(door: Door, client: httpx2.AsyncClient, *, author: str = "") -> Starlette:
    """Return the app between browser and admin API; it closes the client when it stops.

    ``author``: in whose name changes are made, if not in the Unix user's.
    """

    @asynccontextmanager
    async def while_open(_app: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    async def enter(request: Request) -> Response:
        if request.headers.get("host", "") not in door.hosts():
            return PlainTextResponse("not a name of this listener\n", 421)
        if not door.admits(request.query_params.get("token", "")):
            inside = request.cookies.get(door.cookie, "") == door.session
            return RedirectResponse("/", 303) if inside else PlainTextResponse(_WHO_ARE_YOU, 401)
        response = RedirectResponse("/", 303, headers={"Cache-Control": "no-store"})
        response.set_cookie(door.cookie, door.session, httponly=True, samesite="strict", path="/")
        return response

    async def forward(request: Request) -> Response:
        refusal = door.refusal(request)
        return refusal if refusal is not None else await _forwarded(client, request, author)

    routes = [Route(_ENTER, enter), Route("/{path:path}", forward, methods=_METHODS)]
    return Starlette(routes=routes, lifespan=while_open)


_METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE"]


async def _forwarded(client: httpx2.AsyncClient, request: Request, author: str) -> Response:
    params = dict(request.query_params)
    if author and request.method not in _SAFE:
        params["author"] = author
    asked = client.build_request(
        request.method,
        request.scope["raw_path"].decode("ascii").partition("?")[0],
        params=params,
        headers={name: request.headers[name] for name in _TO_API if name in request.headers},
        content=await request.body(),
    )
    try:
        answer = await client.send(asked, stream=True)
    except httpx2.TransportError:
        problem = Problem(
            reason="Internal",
            message="the control plane does not answer",
            hint="proxies go on with what they have; `clew up` starts it again by itself",
        )
        body = msgspec.json.encode(ErrorReply(error=problem))
        return Response(body, 503, media_type="application/json")
    headers = {name: value for name, value in answer.headers.items() if name not in _FROM_API}
    return StreamingResponse(
        _body(answer), answer.status_code, headers, background=BackgroundTask(answer.aclose)
    )


async def _body(answer: httpx2.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    except httpx2.TransportError:
        return  # the control plane stopped; the browser connects again
    finally:
        await answer.aclose()


def listen_on(port: int) -> socket.socket:
    """A listening socket; 0 takes any free port. Raises: OSError when the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((ADDRESS, port))
        listener.listen(socket.SOMAXCONN)
    except OSError:
        listener.close()
        raise
    return listener


def serve_door(app: Starlette, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until a signal comes; ``ready`` is called once connections are accepted."""
    config = uvicorn.Config(
        app,
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    ready()
    with listener, suppress(KeyboardInterrupt):  # which uvicorn raises again once it has stopped
        uvicorn.Server(config).run(sockets=[listener])
