"""The admin API's part about its own tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clew.api.access import ApiTokenList, ApiTokenRequest, ApiTokenView, CreatedApiToken
from clew.api.remote import with_roots
from clew.server.api_tokens import ApiToken, ApiTokens
from clew.server.replies import BadRequest, read_body, reply
from clew.stores.revise import timestamp
from clew.stores.store import NotFound


@dataclass(frozen=True, slots=True)
class AccessApi:
    """Its routes. ``roots``: what the server's certificate leads to, "" if others know that."""

    tokens: ApiTokens
    roots: Callable[[], str]

    def routes(self) -> list[Route]:
        return [
            Route("/v1/api-tokens", self._list, methods=["GET"]),
            Route("/v1/api-tokens", self._create, methods=["POST"]),
            Route("/v1/api-tokens/{id}", self._revoke, methods=["DELETE"]),
        ]

    async def _list(self, _request: Request) -> Response:
        return reply(ApiTokenList(tokens=tuple(map(_view, self.tokens.all()))))

    async def _create(self, request: Request) -> Response:
        wanted = await read_body(request, ApiTokenRequest)
        try:
            lifetime = timedelta(seconds=wanted.seconds)
            text, token = self.tokens.create(wanted.role, wanted.name, lifetime)
        except (ValueError, OverflowError) as error:
            raise BadRequest(str(error)) from None
        created = CreatedApiToken(token=with_roots(text, self.roots()), view=_view(token))
        return reply(created, status=201)

    async def _revoke(self, request: Request) -> Response:
        token_id = str(request.path_params["id"])
        if not self.tokens.revoke(token_id):
            raise NotFound(f'there is no token "{token_id}" for the API')
        return reply({})


def _view(token: ApiToken) -> ApiTokenView:
    return ApiTokenView(
        id=token.id,
        name=token.name,
        role=token.role,
        created=timestamp(token.created),
        expires=timestamp(token.expires),
    )
