"""Who may ask what over TCP."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from clew.api.access import Role
from clew.server.access import CERTIFICATE, Caller, Guarded, bearer_token, caller_of, needed
from clew.server.request_limits import LimitedRequests

CERTIFIED = {"subject": ((("organizationName", "clew:editor"),), (("commonName", "ann"),))}


async def _echo(request: Request) -> Response:
    author = request.query_params.get("author")
    client = request.client
    return JSONResponse({"client": client.host if client else None, "author": author})


def ask(
    method: str = "GET",
    path: str = "/v1/objects",
    *,
    certificate: Mapping[str, Any] | None = None,
    **headers: str,
) -> httpx2.Response:
    """What one is told who asks a guarded app, of which each token is named like its role."""
    methods = ["GET", "HEAD", "POST", "PUT", "DELETE"]
    app = Guarded(
        Starlette(routes=[Route("/{path:path}", _echo, methods=methods)]),
        lambda text: Caller(f"the {text}", Role(text)) if text in set(Role) else None,
    )

    async def with_certificate(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {CERTIFICATE: certificate}}, receive, send)

    async def scenario() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=with_certificate)
        async with httpx2.AsyncClient(transport=transport, base_url="https://clew") as client:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.request(method, path, headers=named)

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/v1/objects", Role.VIEWER),
        ("HEAD", "/v1/proxies", Role.VIEWER),
        ("GET", "/v1/authority", Role.VIEWER),
        ("POST", "/v1/apply", Role.EDITOR),
        ("DELETE", "/v1/objects/core/Service/default/a", Role.EDITOR),
        ("PATCH", "/v1/something/new", Role.EDITOR),
        ("GET", "/v1/api-tokens", Role.ADMIN),
        ("GET", "/v1/tokens", Role.ADMIN),
        ("POST", "/v1/tokens", Role.ADMIN),
        ("DELETE", "/v1/api-tokens/1", Role.ADMIN),
        ("POST", "/v1/authority/rotation", Role.ADMIN),
        ("GET", "/v1/authority/rotation", Role.VIEWER),
        ("GET", "/v1/tap", Role.ADMIN),
        ("GET", "/v1/tokens-of-others", Role.VIEWER),
    ],
)
def test_each_request_needs_a_role(method: str, path: str, role: Role) -> None:
    assert needed(method, path) is role
    allowed = [
        each for each in Role if ask(method, path, authorization=f"Bearer {each}").is_success
    ]
    assert allowed == list(Role)[list(Role).index(role) :] or method == "PATCH"


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer nobody", "Basic YWRtaW46YWRtaW4=", "admin", "Bearer \x00"],
)
def test_who_is_not_known_gets_nothing_wherever(authorization: str) -> None:
    headers = {"authorization": authorization} if authorization else {}
    for path in ("/", "/ready", "/v1/openapi.json", "/v1/objects", "/debug", "/metrics"):
        answer = ask(path=path, certificate=None, **headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


def test_nobody_acts_in_the_name_of_another() -> None:
    said = ask(path="/v1/objects?author=root&namespace=a", authorization="Bearer viewer").json()
    assert said == {"client": "the viewer", "author": None}


def test_a_client_certificate_says_the_role() -> None:
    assert ask(certificate=CERTIFIED).json()["client"] == "ann"
    assert ask("POST", "/v1/tokens", certificate=CERTIFIED).status_code == 403
    # A token that does not count is not made good by a certificate.
    assert ask(certificate=CERTIFIED, authorization="Bearer nobody").status_code == 401


@pytest.mark.parametrize(
    "subject",
    [
        (),
        ((("organizationName", "cluster.local"),), (("commonName", "ann"),)),
        ((("organizationName", "clew:root"),), (("commonName", "ann"),)),
        ((("commonName", "clew:admin"),),),
        ((("organizationName", "clew:admin"),),),
    ],
)
def test_other_certificates_say_nothing(subject: tuple[object, ...]) -> None:
    """Those of workloads have no subject at all."""
    assert caller_of({"subject": subject}) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example.com"},
        {"origin": "http://clew"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
def test_a_page_of_another_site_may_not_ask_with_the_users_certificate(
    headers: dict[str, str],
) -> None:
    for method in ("GET", "POST"):
        assert ask(method, certificate=CERTIFIED, **headers).status_code == 403
    ours = ask("POST", certificate=CERTIFIED, origin="https://clew", sec_fetch_site="same-origin")
    assert ours.status_code == 200


@pytest.mark.parametrize(
    ("header", "token"),
    [("Bearer a", "a"), ("bearer  a ", "a"), ("Basic a", ""), ("a", ""), ("", "")],
)
def test_a_bearer_token_is_read_as_the_standard_says(header: str, token: str) -> None:
    assert bearer_token(header) == token


def test_a_caller_has_only_so_many_requests_under_way() -> None:
    async def scenario() -> None:
        end = asyncio.Event()
        started = asyncio.Event()

        async def watch(_request: Request) -> Response:
            started.set()
            await end.wait()
            return Response()

        app = LimitedRequests(Starlette(routes=[Route("/", watch)]), 1)
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="https://clew") as client:
            first = asyncio.ensure_future(client.get("/"))
            await started.wait()
            assert (await client.get("/")).status_code == 429
            end.set()
            assert (await first).status_code == 200
            assert (await client.get("/")).status_code == 200

    asyncio.run(scenario())
