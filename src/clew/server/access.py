"""Who calls over TCP, and whether that one may: in front of the admin API, never behind it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from clew.api.access import Role
from clew.server.replies import error_reply

log = logging.getLogger("clew.access")

# Where in a request's state its connection's certificate is.
CERTIFICATE = "clew.certificate"
_SAFE = frozenset({"GET", "HEAD"})
# What gives others access or identities, or shows what users send, their tokens too. Who may do
# that may do everything.
_OF_ADMINS = ("/v1/api-tokens", "/v1/tokens", "/v1/authority", "/v1/tap")
# Of these, looking harms nobody: how the authority stands is on the console's first page.
_TO_BE_SEEN = ("/v1/authority",)
_RANK = {Role.VIEWER: 0, Role.EDITOR: 1, Role.ADMIN: 2}


@dataclass(frozen=True, slots=True)
class Caller:
    name: str
    role: Role


def caller_of(certificate: Mapping[str, Any]) -> Caller | None:
    """Who shows a verified client certificate, as ``ssl`` describes it.

    Its organization is the role, as in ``O=clew:editor``; its common name, who that is.
    """
    subject = [pair for part in certificate.get("subject", ()) for pair in part]
    roles = [value for name, value in subject if name == "organizationName"]
    names = [value for name, value in subject if name == "commonName"]
    found = [role for role in Role if f"clew:{role}" in roles]
    return Caller(names[0], found[-1]) if found and names else None


def needed(method: str, path: str) -> Role:
    """The least role that a request needs."""
    safe = method in _SAFE
    if _below(path, _OF_ADMINS) and not (safe and _below(path, _TO_BE_SEEN)):
        return Role.ADMIN
    return Role.VIEWER if safe else Role.EDITOR


def _below(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def bearer_token(authorization: str) -> str:
    """The token of an ``Authorization`` header, "" if it holds none. Source: RFC 6750."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


class Guarded:
    """An app that answers nobody who brings neither a token nor a certificate that counts.

    Browsers show their user's certificate whosever page asks for it, so what another site's page
    asks is refused before anything else.
    """

    def __init__(self, app: ASGIApp, by_token: Callable[[str], Caller | None]) -> None:
        self._app = app
        self._by_token = by_token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        caller = self._caller(headers, scope)
        if _is_of_another_site(headers):
            answer = error_reply(403, "Forbidden", "another site's page may not ask here")
        elif caller is None:
            log.warning("refused, nobody we know peer=%s", _peer(scope))
            answer = error_reply(
                401,
                "Unauthorized",
                "this needs a token that is known and has not expired, or a client certificate",
                "an admin makes one: clew token create --role viewer",
            )
            answer.headers["WWW-Authenticate"] = "Bearer"
        elif _RANK[caller.role] < _RANK[role := needed(scope["method"], scope["path"])]:
            log.warning("refused, may not do that caller=%s role=%s", caller.name, caller.role)
            problem = f'"{caller.name}" is {caller.role} here, and this needs {role}'
            answer = error_reply(403, "Forbidden", problem)
        else:
            await self._app(_as(caller, scope), receive, send)
            return
        await answer(scope, receive, send)

    def _caller(self, headers: Headers, scope: Scope) -> Caller | None:
        """A token counts before a certificate: it is what the caller chose for this request."""
        if authorization := headers.get("authorization", ""):
            return self._by_token(bearer_token(authorization))
        certificate = scope.get("state", {}).get(CERTIFICATE)
        return caller_of(certificate) if certificate else None


def _is_of_another_site(headers: Headers) -> bool:
    """Whether a browser sends this for a page that is not ours. Others send none of these."""
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return True
    origin = headers.get("origin")
    return origin is not None and origin != f"https://{headers.get('host', '')}"


def _peer(scope: Scope) -> str:
    return str((scope.get("client") or ("unknown",))[0])


def _as(caller: Caller, scope: Scope) -> Scope:
    """The request in the caller's name: nobody acts in another's, and only admins see secrets."""
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    theirs = {"author"} if caller.role is Role.ADMIN else {"author", "secrets"}
    own = urlencode([(name, value) for name, value in query if name not in theirs])
    return {**scope, "client": (caller.name, 0), "query_string": own.encode("latin-1")}
