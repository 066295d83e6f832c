"""The door between browser and admin API: who may come in, and what passes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from clew.api.async_client import AsyncClient
from clew.local.dashboard import Door, api_client, build_door, listen_on
from tests.server.api_server import with_server
from tests.server.shop import ROUTES

PORT = 8788
HERE = f"http://127.0.0.1:{PORT}"
Browse = Callable[[httpx2.AsyncClient, Door, Path], Awaitable[object]]


def browser_at(door: Door, client: httpx2.AsyncClient, author: str = "") -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=build_door(door, client, author=author))
    return httpx2.AsyncClient(transport=transport, base_url=HERE)


def browsing(check: Browse, *, author: str = "") -> None:
    """A browser before a door that has just been opened."""

    async def scenario(_client: AsyncClient, socket: Path) -> None:
        door = Door(port=PORT)
        async with api_client(socket) as client, browser_at(door, client, author) as browser:
            await check(browser, door, socket)

    asyncio.run(with_server(scenario))


async def come_in(browser: httpx2.AsyncClient, door: Door) -> None:
    response = await browser.get(door.url)
    assert response.status_code == 303
    assert response.headers["location"] == "/"


def test_the_printed_address_lets_one_browser_in_once() -> None:
    async def check(browser: httpx2.AsyncClient, door: Door, _socket: Path) -> None:
        url = door.url
        assert (await browser.get("/v1/kinds")).status_code == 401
        response = await browser.get(url)
        cookie = response.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert (await browser.get("/v1/kinds")).status_code == 200
        browser.cookies.clear()
        assert (await browser.get(url)).status_code == 401
        assert (await browser.get("/v1/kinds")).status_code == 401

    browsing(check)


@pytest.mark.parametrize("token", ["", "x", "é", "A" * 43])
def test_a_wrong_token_opens_nothing(token: str) -> None:
    async def check(browser: httpx2.AsyncClient, door: Door, _socket: Path) -> None:
        response = await browser.get("/enter", params={"token": token})
        assert response.status_code == 401
        assert "set-cookie" not in response.headers
        assert "clew dashboard" in response.text
        await come_in(browser, door)

    browsing(check)


@pytest.mark.parametrize("session", ["", "x", "é", "A" * 43])
def test_a_wrong_cookie_opens_nothing(session: str) -> None:
    async def check(browser: httpx2.AsyncClient, door: Door, _socket: Path) -> None:
        cookie = f"{door.cookie}={session}".encode()
        response = await browser.get("/v1/objects", headers=[(b"cookie", cookie)])
        assert response.status_code == 401

    browsing(check)


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"Host": "evil.example"}, 421),
        ("GET", {"Host": f"127.0.0.1.evil.example:{PORT}"}, 421),
        ("GET", {"Host": "127.0.0.1:1"}, 421),
        ("GET", {"Origin": "https://evil.example"}, 403),
        ("GET", {"Host": f"localhost:{PORT}", "Origin": HERE}, 403),
        ("POST", {}, 403),
        ("POST", {"Origin": "null"}, 403),
        ("POST", {"Origin": "http://127.0.0.1:1"}, 403),
        ("POST", {"Origin": HERE, "Sec-Fetch-Site": "cross-site"}, 403),
        ("DELETE", {"Origin": "https://evil.example"}, 403),
        ("POST", {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}, 200),
        ("GET", {}, 200),
        ("GET", {"Host": f"localhost:{PORT}", "Origin": f"http://localhost:{PORT}"}, 200),
    ],
)
def test_only_the_consoles_own_page_may_ask(
    method: str, headers: dict[str, str], status: int
) -> None:
    async def check(browser: httpx2.AsyncClient, door: Door, _socket: Path) -> None:
        await come_in(browser, door)
        # The worst case: a browser that sends the cookie with every request.
        sent = {"Cookie": f"{door.cookie}={door.session}", **headers}
        path = "/v1/objects" if method == "GET" else "/v1/apply"
        response = await browser.request(method, path, headers=sent)
        assert response.status_code == status

    browsing(check)


def test_the_token_is_of_no_use_under_another_name() -> None:
    async def check(browser: httpx2.AsyncClient, door: Door, _socket: Path) -> None:
        response = await browser.get(door.url, headers={"Host": "evil.example"})
        assert response.status_code == 421
        await come_in(browser, door)

    browsing(check)


def test_changes_pass_with_their_author_and_their_encoding() -> None:
    async def check(browser: httpx2.AsyncClient, door: Door, _socket: Path) -> None:
        await come_in(browser, door)
        headers = {"Origin": HERE}
        applied = await browser.post("/v1/apply", content=ROUTES, headers=headers)
        assert applied.json()["items"][0]["result"] == "created"
        path = "/v1/objects/networking.istio.io/VirtualService/default/reviews"
        history: dict[str, Any] = (await browser.get(f"{path}/history")).json()
        assert history["items"][0]["author"] == "ada"
        page = await browser.get("/", headers={"Accept": "text/html", "Accept-Encoding": "gzip"})
        assert page.headers["content-encoding"] == "gzip"
        assert "<script" in page.text
        missing = await browser.get("/v1/objects/core/Pod/a%2Fb/c")
        assert missing.status_code == 404
        assert "a/b/c" in missing.json()["error"]["message"]

    browsing(check, author="ada")


def test_a_control_plane_that_is_away_is_said_so() -> None:
    async def scenario() -> None:
        door = Door(port=PORT)
        nowhere = api_client(Path("/nowhere/api.sock"))
        async with nowhere as client, browser_at(door, client) as browser:
            await come_in(browser, door)
            response = await browser.get("/v1/overview")
            assert response.status_code == 503
            assert "does not answer" in response.json()["error"]["message"]

    asyncio.run(scenario())


def test_the_listener_is_on_loopback_only() -> None:
    with listen_on(0) as listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        with pytest.raises(OSError, match="in use"):
            listen_on(port)
