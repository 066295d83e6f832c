"""The echo application's servers: every port says, as JSON, what came in.

One port speaks HTTP/1.0, HTTP/1.1, HTTP/2 without TLS, gRPC and plain TCP, told apart by the first
bytes, so that what the proxies in front of it made of a call shows.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import ssl
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import h11

from tests.corpora.echo import http2
from tests.corpora.echo.asked import headers_asked, seconds_asked, status_asked
from tests.corpora.echo.http2 import Headers, Message

_METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ")
BANNER = b"hello from the server\n"
# Answers with the targets of the latest requests, for those that only a mirror sends here.
TARGETS = "/.targets"
_targets: deque[str] = deque(maxlen=1000)
_server_names: WeakKeyDictionary[object, str] = WeakKeyDictionary()

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoPort:
    """One port. ``bind``: the address to listen at, "" for all."""

    number: int
    bind: str = ""
    tls: bool = False
    server_first: bool = False
    proxy_protocol: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Who answers: ``certificate`` is a file with the key and the certificate of TLS ports."""

    hostname: str
    ip: str
    certificate: str = ""


async def serve(ports: Iterable[EchoPort], place: Place) -> list[asyncio.Server]:
    """Listen on all ports."""
    context = tls_context(place.certificate) if place.certificate else None
    return [
        await asyncio.start_server(
            functools.partial(_serve, port, place),
            port.bind or None,
            port.number,
            ssl=context if port.tls else None,
        )
        for port in ports
    ]


def tls_context(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["h2", "http/1.1", "http/1.0"])
    context.sni_callback = _note_server_name
    return context


def _note_server_name(
    tls: ssl.SSLSocket | ssl.SSLObject, server_name: str | None, _: ssl.SSLContext
) -> None:
    _server_names[tls] = server_name or ""


async def _serve(
    port: EchoPort, place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        facts = _connection_facts(port, place, writer)
        if port.server_first:
            writer.write(BANNER)
            await writer.drain()
        if port.proxy_protocol:
            facts["proxyProtocol"] = await _read_proxy_header(reader)
        await _answer(facts, reader, writer)
    except (OSError, EOFError, ValueError, h11.RemoteProtocolError):
        pass  # the client sees that the connection ends
    finally:
        writer.close()


def _connection_facts(port: EchoPort, place: Place, writer: asyncio.StreamWriter) -> Facts:
    tls = writer.get_extra_info("ssl_object")
    return {
        "hostname": place.hostname,
        "namespace": os.environ.get("NAMESPACE", ""),
        "ip": place.ip,
        "port": port.number,
        "client": writer.get_extra_info("peername")[0],
        "tls": tls is not None,
        "alpn": (tls.selected_alpn_protocol() or "") if tls else "",
        "sni": _server_names.get(tls, "") if tls else "",
        "proxyProtocol": "",
    }


async def _read_proxy_header(reader: asyncio.StreamReader) -> str:
    """Return the header's version and the client's address. Source: the PROXY protocol."""
    start = await reader.readexactly(6)
    if start == b"PROXY ":
        line = await reader.readline()
        return f"v1 {line.split()[1].decode()}"
    rest = await reader.readexactly(10)
    await reader.readexactly(int.from_bytes(rest[8:10], "big"))
    return "v2"


async def _answer(facts: Facts, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    first = await reader.read(65536)
    while b"\n" not in first and len(first) < len(http2.PREFACE) and first:
        more = await reader.read(65536)
        first += more
        if not more:
            break
    if first.startswith(http2.PREFACE):
        await http2.serve(first, reader, writer, functools.partial(_answer_http2, facts))
    elif first.startswith(_METHODS):
        await _serve_http1(facts, first, reader, writer)
    elif first:
        facts |= {"protocol": "TCP", "body": first.decode("latin-1")}
        writer.write(json.dumps(facts).encode() + b"\n")
        await writer.drain()
        while more := await reader.read(65536):
            writer.write(more)


async def _serve_http1(
    facts: Facts, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(first)
    while True:
        received = await _next_request(connection, reader)
        if received is None:
            return
        request, body = received
        headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in request.headers]
        if dict(headers).get("upgrade", "").lower() == "websocket":
            await _serve_websocket(connection, reader, writer)
            return
        protocol = f"HTTP/{request.http_version.decode()}"
        seen = facts | _request_facts(
            protocol, request.method.decode(), request.target.decode("latin-1"), headers, body
        )
        status, answered, content = await _response(seen)
        response = h11.Response(status_code=status, headers=answered)
        for event in (response, h11.Data(data=content), h11.EndOfMessage()):
            writer.write(connection.send(event) or b"")
        await writer.drain()
        if connection.our_state is h11.MUST_CLOSE or connection.their_state is h11.CLOSED:
            return
        connection.start_next_cycle()


async def _next_request(
    connection: h11.Connection, reader: asyncio.StreamReader
) -> tuple[h11.Request, bytes] | None:
    """Return the next request and its body, None when the client has closed."""
    request, body = None, b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert request is not None
            return request, body
        else:
            return None


async def _serve_websocket(
    connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    headers = [("upgrade", "websocket"), ("connection", "Upgrade")]
    writer.write(
        connection.send(h11.InformationalResponse(status_code=101, headers=headers)) or b""
    )
    writer.write(connection.trailing_data[0])
    while more := await reader.read(65536):
        writer.write(more)
        await writer.drain()


async def _answer_http2(facts: Facts, request: Message) -> Message:
    pseudo = {name: value for name, value in request.headers if name.startswith(":")}
    headers = [(name, value) for name, value in request.headers if not name.startswith(":")]
    headers.append(("host", pseudo.get(":authority", "")))
    seen = facts | _request_facts(
        "HTTP/2.0", pseudo.get(":method", ""), pseudo.get(":path", ""), headers, request.body
    )
    if dict(headers).get("content-type", "").startswith("application/grpc"):
        return _grpc_response(seen)
    status, answered, content = await _response(seen)
    return Message(headers=[(":status", str(status)), *answered], body=content)


def _request_facts(protocol: str, method: str, target: str, headers: Headers, body: bytes) -> Facts:
    return {
        "protocol": protocol,
        "method": method,
        "path": target,
        "host": next((value for name, value in headers if name.lower() == "host"), ""),
        "headers": [[name.lower(), value] for name, value in headers],
        "body": body.decode("latin-1"),
    }


async def _response(seen: Facts) -> tuple[int, Headers, bytes]:
    target = seen["path"]
    content = json.dumps(list(_targets) if target == TARGETS else seen).encode()
    _targets.append(target)
    await asyncio.sleep(seconds_asked(target))
    length = str(len(content))
    headers = [("content-type", "application/json"), ("content-length", length)]
    return status_asked(target), headers + headers_asked(seen["headers"]), content


def _grpc_response(seen: Facts) -> Message:
    content = json.dumps(seen).encode()
    frame = b"\0" + len(content).to_bytes(4, "big") + content
    return Message(
        headers=[(":status", "200"), ("content-type", "application/grpc")],
        body=frame,
        trailers=[("grpc-status", "0")],
    )
