"""The console's files: served whole, compressed, cached, and under a strict policy."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Callable
from pathlib import Path

import httpx2
from starlette.types import Receive, Scope, Send

from clew.api.async_client import AsyncClient
from clew.server.console import FILES, ConsoleForAll
from tests.server.api_server import raw, with_server

HTML = {"Accept": "text/html", "Accept-Encoding": "identity"}
# All compressed files together.
LARGEST = 300_000


def serving(check: Callable[[Path], object]) -> None:
    async def scenario(_client: AsyncClient, socket: Path) -> None:
        await check(socket)  # type: ignore[misc]  # an async function

    asyncio.run(with_server(scenario))


def test_every_view_is_the_same_page_and_programs_are_told_that_there_is_none() -> None:
    async def check(socket: Path) -> None:
        for path in ("/", "/services", "/configuration/core/Pod/default/a"):
            response = await raw(socket, "GET", path, headers=HTML)
            assert response.status_code == 200
            assert "<script" in response.text
        assert (await raw(socket, "GET", "/nothing")).status_code == 404
        response = await raw(socket, "POST", "/nothing", headers=HTML)
        assert response.status_code == 404
        assert response.json()["error"]["reason"] == "NotFound"

    serving(check)


def test_the_page_brings_nothing_inline_and_nothing_from_elsewhere() -> None:
    async def check(socket: Path) -> None:
        response = await raw(socket, "GET", "/", headers=HTML)
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=", response.text)
        assert not re.search(r"(?:src|href)=\"https?:", response.text)
        for name in re.findall(r"\"(/assets/[^\"]+)\"", response.text):
            asset = await raw(socket, "GET", name, headers={"Accept-Encoding": "identity"})
            assert asset.status_code == 200
            assert "immutable" in asset.headers["cache-control"]
            assert asset.headers["x-content-type-options"] == "nosniff"

    serving(check)


def test_what_is_served_is_compressed_as_the_browser_likes_and_asked_for_once() -> None:
    async def check(socket: Path) -> None:
        page = await raw(socket, "GET", "/", headers=HTML)
        squeezed = await raw(socket, "GET", "/", headers=HTML | {"Accept-Encoding": "gzip, br;q=0"})
        assert squeezed.headers["content-encoding"] == "gzip"
        assert squeezed.text == page.text
        again = await raw(
            socket, "GET", "/", headers=HTML | {"If-None-Match": page.headers["etag"]}
        )
        assert again.status_code == 304

    serving(check)


def test_a_path_cannot_leave_the_assets() -> None:
    async def check(socket: Path) -> None:
        for name in ("..%2Findex.html", "..%2F..%2Fserver%2Fapi.py", "nothing.js", "x.py"):
            assert (await raw(socket, "GET", f"/assets/{name}")).status_code == 404

    serving(check)


def test_the_whole_console_is_small() -> None:
    assert sum(file.stat().st_size for file in FILES.rglob("*.br")) < LARGEST
    for file in FILES.rglob("*.gz"):
        assert file.with_suffix(".br").is_file()
        assert gzip.decompress(file.read_bytes())


def test_everybody_may_have_the_page_and_nobody_anything_else() -> None:
    async def nothing(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def check() -> None:
        transport = httpx2.ASGITransport(app=ConsoleForAll(nothing))
        async with httpx2.AsyncClient(transport=transport, base_url="https://mesh") as browser:
            browser.headers["Accept"] = "text/html"
            for path in ("/", "/services", "/configuration/core/Pod/default/a", "/proxies/x"):
                assert "<script" in (await browser.get(path)).text
            for path in ("/v1/overview", "/metrics", "/ready", "/x"):
                assert (await browser.get(path)).status_code == 401
            assert (await browser.post("/")).status_code == 404

    asyncio.run(check())
