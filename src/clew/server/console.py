"""Serves the console: one page, its hashed assets, and the headers that keep it to itself."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

import xxhash
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from clew.server.replies import EXCEPTION_HANDLERS

# Built from ``console/`` and part of the package: `make console`.
FILES = Path(__file__).parents[1] / "console"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
# Nothing from elsewhere, nothing inline, and nobody may frame it.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Vary": "Accept, Accept-Encoding",
}
# An asset's name holds the hash of its content.
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_ASK_AGAIN = {"Cache-Control": "no-cache"}
# How the paths of the assets and of views begin.
_SHOWN = frozenset(
    {"", "assets", "graph", "services", "configuration", "traces", "proxies", "security"}
)
_EVERY = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def console_routes() -> list[Route]:
    """The last routes of an app: they take every path, since each view has its own."""
    return [Route("/assets/{name}", _asset), Route("/{path:path}", _page, methods=_EVERY)]


class ConsoleForAll:
    """Serves the console's files to everybody, and leaves all else to the app behind it.

    A browser has no token before the page asks for one. The files hold nothing of the mesh.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._console = Starlette(routes=console_routes(), exception_handlers=EXCEPTION_HANDLERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        shown = (
            scope["type"] == "http" and scope["path"].removeprefix("/").partition("/")[0] in _SHOWN
        )
        await (self._console if shown else self._app)(scope, receive, send)


async def _page(request: Request) -> Response:
    """The page for people who navigate; programs are told that there is no such path."""
    if allowed := _methods_at(request):  # the path is another's, who takes other methods
        raise HTTPException(405, headers={"Allow": ", ".join(allowed)})
    navigates = "text/html" in request.headers.get("accept", "")
    if request.method not in ("GET", "HEAD") or not navigates:
        raise HTTPException(404)
    return _file(request, "index.html", "text/html; charset=utf-8", _ASK_AGAIN)


def _methods_at(request: Request) -> list[str]:
    """The methods of what the API has at a path, none if it has nothing there."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    there = [route for route in routes if route.matches(request.scope)[0] is Match.PARTIAL]
    return sorted({method for route in there for method in route.methods or ()})


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    media_type = _TYPES.get(Path(name).suffix)
    if media_type is None or not (FILES / "assets" / f"{name}.gz").is_file():
        raise HTTPException(404)
    return _file(request, f"assets/{name}", media_type, _FOR_EVER)


def _file(request: Request, name: str, media_type: str, caching: dict[str, str]) -> Response:
    accepted = {
        each.partition(";")[0].strip()
        for each in request.headers.get("accept-encoding", "").split(",")
        if not each.replace(" ", "").endswith(";q=0")
    }
    encoding = next((each for each in ("br", "gzip") if each in accepted), "")
    body = _content(name, encoding)
    headers = {**_HEADERS, **caching, "ETag": f'"{xxhash.xxh3_64_hexdigest(body)}"'}
    if encoding:
        headers["Content-Encoding"] = encoding
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


@cache
def _content(name: str, encoding: str) -> bytes:
    """A file as it was compressed by the build. There are few, so all stay in memory."""
    if encoding == "br":
        return (FILES / f"{name}.br").read_bytes()
    compressed = (FILES / f"{name}.gz").read_bytes()
    return compressed if encoding else gzip.decompress(compressed)
