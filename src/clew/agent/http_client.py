"""The smallest HTTP/1.1 client: one request per connection, over any stream."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

# More than any status or admin page that is asked for here.
_LONGEST_RESPONSE = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


def encode_request(
    method: str, path: str, *, host: str, headers: Mapping[str, str] = {}, body: bytes = b""
) -> bytes:
    fields = {"Host": host, "Connection": "close", "Content-Length": str(len(body)), **headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def decode_response(received: bytes) -> Response:
    """Read a whole response, as it is when the peer has closed the connection.

    Raises:
        ValueError: it is not an HTTP/1 response.
    """
    head, _, body = received.partition(b"\r\n\r\n")
    status_line, *fields = head.split(b"\r\n")
    parts = status_line.split(None, 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/1") or not parts[1].isdigit():
        raise ValueError(f"not an HTTP response: {received[:80]!r}")
    chunked = any(
        field.lower().replace(b" ", b"") == b"transfer-encoding:chunked" for field in fields
    )
    return Response(int(parts[1]), _join_chunks(body) if chunked else body)


def _join_chunks(body: bytes) -> bytes:
    chunks: list[bytes] = []
    while True:
        size, _, rest = body.partition(b"\r\n")
        length = int(size.split(b";")[0] or b"0", 16)
        if length == 0:
            return b"".join(chunks)
        chunks.append(rest[:length])
        body = rest[length + 2 :]


async def exchange(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    request: bytes,
    *,
    longest: int = _LONGEST_RESPONSE,
) -> Response:
    """Send ``request`` and return the answer; closes the connection.

    Raises:
        ValueError: the answer is not HTTP, or it has more than ``longest`` bytes.
    """
    try:
        writer.write(request)
        received = bytearray()
        while data := await reader.read(65536):
            received += data
            if len(received) > longest:
                raise ValueError("the response is too long")
        return decode_response(bytes(received))
    finally:
        writer.close()


async def request_unix(
    socket: str,
    method: str,
    path: str,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] = {},
    seconds: float = 5.0,
    longest: int = _LONGEST_RESPONSE,
) -> Response:
    """Ask the HTTP server behind a Unix socket.

    Raises:
        OSError: nobody listens there, or no answer within ``seconds`` (TimeoutError).
        ValueError: the answer is not HTTP.
    """
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_unix_connection(socket)
        request = encode_request(method, path, host="localhost", headers=headers, body=body)
        return await exchange(reader, writer, request, longest=longest)
