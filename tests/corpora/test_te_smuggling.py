"""Malformed Transfer-Encoding headers: refused, or passed on with one meaning only."""

from __future__ import annotations

import asyncio
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from tests.corpora.conftest import Score
from tests.corpora.corpus import cases
from tests.envoy.mesh import ingress, live_mesh
from tests.envoy.raw import RawServer, eventually_open, exchange
from tests.envoy.rig import free_port
from tests.envoy.worlds import GATEWAY

# The request is for one path; in its body is the beginning of another one.
_BODIES = (
    b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nX: ",
    b"1\r\nA\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nX: ",
)


def test_no_request_is_smuggled_through_a_gateway(tmp_path: Path, score: Score) -> None:
    corpus = cases("http-te-smuggling")
    found = asyncio.run(_through_a_gateway(corpus, tmp_path))
    score("http-te-smuggling", len(corpus), found, reached=1.0)


async def _through_a_gateway(corpus: list[dict[str, Any]], folder: Path) -> list[str]:
    port = free_port()
    async with RawServer().running() as server:
        text = GATEWAY.format(port=port, backend=server.port)
        async with live_mesh(folder, text), ingress(folder):
            await eventually_open(port)
            return [case["id"] for case in corpus if not await _is_safe(case, port, server)]


async def _is_safe(case: dict[str, Any], port: int, server: RawServer) -> bool:
    header = b64decode(case["te_header_latin1_b64"])
    for body in _BODIES:
        server.heads.clear()
        length = b"Content-Length: %d" % len(body)
        lines = (b"POST /first HTTP/1.1", b"Host: web.example.com", length, header)
        await exchange(port, b"\r\n".join(lines) + b"\r\n\r\n" + body)
        if not all(map(_is_unambiguous, server.heads)):
            return False
    return True


def _is_unambiguous(head: bytes) -> bool:
    """Whether servers agree on where a request ends, however lenient they are."""
    lines = re.split(rb"[\r\n]+", head.rstrip(b"\r\n"))
    names = [re.sub(rb"[^a-z-]", b"", line.partition(b":")[0].lower()) for line in lines[1:]]
    chunked = [
        line for line, name in zip(lines[1:], names, strict=True) if b"transfer-encoding" in name
    ]
    lengths = names.count(b"content-length")
    if not head.startswith(b"POST /first "):
        return False
    if chunked:
        return chunked == [b"transfer-encoding: chunked"] and not lengths
    return lengths == 1


@pytest.mark.parametrize(
    "head",
    [
        b"POST /first HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding:\x0bchunked",
        b"POST /first HTTP/1.1\r\nhost: a\r\ntransfer-encoding : chunked",
        b"GET /smuggled HTTP/1.1\r\nhost: a",
    ],
)
def test_ambiguous_requests_are_recognized(head: bytes) -> None:
    assert not _is_unambiguous(head)
    plain = b"POST /first HTTP/1.1\r\nhost: a\r\ncontent-length: 1"
    assert _is_unambiguous(plain)
