"""Serves the document of the API, of what the app really has."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clew.api.openapi import openapi
from clew.server.replies import reply

PATH = "/v1/openapi.json"


def add_openapi(app: Starlette) -> None:
    """Let the app describe itself: all routes that it has when it is asked."""

    async def document(request: Request) -> Response:
        return reply(openapi(_operations(request.app)))

    app.router.routes.append(Route(PATH, document, methods=["GET"]))


def _operations(app: Starlette) -> list[tuple[str, str]]:
    routes = [route for route in app.routes if isinstance(route, Route)]
    return [
        (method.lower(), route.path.replace(":path}", "}"))
        for route in routes
        for method in route.methods or ()
    ]
