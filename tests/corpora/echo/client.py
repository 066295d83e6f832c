"""The echo application's client: makes one call and says, as JSON, what came back."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import h11

from tests.corpora.echo import http2
from tests.corpora.echo.server import BANNER

Call = dict[str, Any]
Result = dict[str, Any]


async def make_call(call: Call) -> Result:
    """Make the call; ``error`` says why nothing came back, ``status`` is that of HTTP.

    ``call``: scheme (http, https, grpc, tcp, dns, websocket), address, port, and by scheme path,
    method, headers (a list of pairs), http2, message, alpn, server_name, server_first, timeout.
    """
    try:
        async with asyncio.timeout(call.get("timeout", 5.0)):
            return await _SCHEMES[call["scheme"]](call)
    except TimeoutError:
        return {"error": "timeout"}
    except (
        OSError,
        EOFError,
        ValueError,
        h11.RemoteProtocolError,
        http2.Http2Error,
        dns.exception.DNSException,
    ) as error:
        return {"error": f"{type(error).__name__}: {error}"}


async def _connect(call: Call) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context, name = _tls(call)
    return await asyncio.open_connection(
        call["address"], call["port"], ssl=context, server_hostname=name, family=socket.AF_INET
    )


def _tls(call: Call) -> tuple[ssl.SSLContext | None, str | None]:
    if not call.get("tls"):
        return None, None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if call.get("client_certificate"):
        context.load_cert_chain(call["client_certificate"])
    alpn = call.get("alpn")
    if alpn is None:
        alpn = ["h2"] if call.get("http2") else ["http/1.1"]
    if alpn:
        context.set_alpn_protocols(alpn)
    return context, call.get("server_name") or _host(call).partition(":")[0] or call["address"]


def _host(call: Call) -> str:
    given = [value for name, value in call.get("headers", ()) if name.lower() == "host"]
    if given and given[0]:
        return str(given[0])
    default = 443 if call.get("tls") else 80
    return call["address"] if call["port"] == default else f"{call['address']}:{call['port']}"


def _target(call: Call) -> str:
    """A fragment is never sent."""
    return (call.get("path") or "/").partition("#")[0]


async def _http(call: Call) -> Result:
    return await (_http2 if call.get("http2") else _http1)(call)


async def _http1(call: Call) -> Result:
    reader, writer = await _connect(call)
    try:
        connection = h11.Connection(h11.CLIENT)
        headers = [(n, v) for n, v in call.get("headers", ()) if n.lower() != "host"]
        request = h11.Request(
            method=call.get("method") or "GET",
            target=_target(call),
            headers=[("Host", _host(call)), *headers],
        )
        writer.write(connection.send(request) or b"")
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        return await _read_response(connection, reader)
    finally:
        writer.transport.abort()


async def _read_response(connection: h11.Connection, reader: asyncio.StreamReader) -> Result:
    result, body = Result(), b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Response):
            result = {"status": event.status_code, "headers": _pairs(event.headers)}
            result["version"] = f"HTTP/{event.http_version.decode()}"
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return result | _echoed(body)
        elif isinstance(event, h11.ConnectionClosed):
            raise EOFError("closed without a response")


def _pairs(headers: Any) -> list[list[str]]:
    return [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers]


def _echoed(body: bytes) -> Result:
    try:
        echo = json.loads(body)
    except ValueError:
        echo = None
    return {"body": body.decode("latin-1"), "echo": echo if isinstance(echo, dict) else None}


def _http2_headers(call: Call, method: str, path: str) -> http2.Headers:
    pseudo = {
        ":method": method,
        ":scheme": "https" if call.get("tls") else "http",
        ":authority": _host(call),
        ":path": path,
    }
    others = [(n.lower(), v) for n, v in call.get("headers", ()) if n.lower() != "host"]
    return [*pseudo.items(), *others]


async def _http2(call: Call) -> Result:
    reader, writer = await _connect(call)
    try:
        headers = _http2_headers(call, call.get("method") or "GET", _target(call))
        response = await http2.request(reader, writer, headers, b"")
    finally:
        writer.transport.abort()
    status = int(dict(response.headers)[":status"])
    answered = [[n, v] for n, v in response.headers if not n.startswith(":")]
    result = {"status": status, "headers": answered, "version": "HTTP/2.0"}
    return result | _echoed(response.body)


async def _grpc(call: Call) -> Result:
    reader, writer = await _connect(call)
    try:
        headers = _http2_headers(call, "POST", call.get("path") or "/proto.EchoTestService/Echo")
        headers += [("content-type", "application/grpc"), ("te", "trailers")]
        body = b"\0\0\0\0\0"
        response = await http2.request(reader, writer, headers, body)
    finally:
        writer.transport.abort()
    everything = dict([*response.headers, *response.trailers])
    result = {
        "status": int(everything[":status"]),
        "headers": [[n, v] for n, v in response.headers if not n.startswith(":")],
        "grpcStatus": int(everything.get("grpc-status", "2")),
        "grpcMessage": everything.get("grpc-message", ""),
        "version": "HTTP/2.0",
    }
    return result | _echoed(response.body[5:])


async def _tcp(call: Call) -> Result:
    reader, writer = await _connect(call)
    try:
        if call.get("server_first") and await reader.readline() != BANNER:
            raise EOFError("the server did not speak first")
        message = call.get("message") or "hello"
        writer.write(message.encode() + b"\n")
        line = await reader.readline()
        if not line:
            raise EOFError("closed without an answer")
        if not line.startswith(b"HTTP/"):
            return _echoed(line)
        rest = await reader.read()
        status = int(line.split()[1])
        return {"status": status, **_echoed(rest.partition(b"\r\n\r\n")[2])}
    finally:
        writer.transport.abort()


async def _websocket(call: Call) -> Result:
    reader, writer = await _connect(call)
    try:
        writer.write(
            f"GET {_target(call)} HTTP/1.1\r\nHost: {_host(call)}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split()[1])
        if status != 101:
            return {"status": status}
        writer.write(b"over the upgraded connection\n")
        return {"status": status, "body": (await reader.readline()).decode()}
    finally:
        writer.transport.abort()


async def _dns(call: Call) -> Result:
    """``address`` is ``name?protocol=udp&server=127.0.0.1``."""
    name, _, options = call["address"].partition("?")
    given = {key: values[0] for key, values in parse_qs(options).items()}
    server = given.get("server") or _resolver()
    ask = dns.query.tcp if given.get("protocol") == "tcp" else dns.query.udp
    query = dns.message.make_query(name, dns.rdatatype.A)
    reply = await asyncio.to_thread(ask, query, server, timeout=call.get("timeout", 5.0))
    if reply.rcode() != dns.rcode.NOERROR:
        return {"error": dns.rcode.to_text(reply.rcode())}
    found = [item.address for rrset in reply.answer for item in rrset if hasattr(item, "address")]
    return {"addresses": sorted(found, key=ipaddress.ip_address)}


def _resolver() -> str:
    lines = Path("/etc/resolv.conf").read_text().splitlines()
    return next((line.split()[1] for line in lines if line.startswith("nameserver")), "127.0.0.53")


_SCHEMES = {
    "http": _http,
    "https": _http,
    "grpc": _grpc,
    "tcp": _tcp,
    "tls": _tcp,
    "dns": _dns,
    "websocket": _websocket,
}
