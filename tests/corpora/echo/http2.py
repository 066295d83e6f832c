"""HTTP/2 over asyncio streams, as much as an echo needs: requests in, answers out, both sides."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

Headers = list[tuple[str, str]]


class Http2Error(Exception):
    """The other side ended the stream or the connection before it answered."""


@dataclass(slots=True)
class Message:
    """A request or a response. ``trailers`` are among the headers of a response without a body."""

    headers: Headers = field(default_factory=list)
    body: bytes = b""
    trailers: Headers = field(default_factory=list)


async def request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: Headers, body: bytes
) -> Message:
    """Send one request on a new connection and return its response."""
    connection = H2Connection(_configuration(client_side=True))
    connection.initiate_connection()
    connection.send_headers(1, headers, end_stream=not body)
    if body:
        connection.send_data(1, body, end_stream=True)
    writer.write(connection.data_to_send())
    response = Message()
    while data := await reader.read(65536):
        for event in connection.receive_data(data):
            if isinstance(event, ResponseReceived):
                response.headers = _decoded(event.headers)
            elif isinstance(event, DataReceived):
                response.body += event.data
                connection.acknowledge_received_data(event.flow_controlled_length, 1)
            elif isinstance(event, TrailersReceived):
                response.trailers = _decoded(event.headers)
            elif isinstance(event, StreamEnded):
                return response
            elif isinstance(event, StreamReset | ConnectionTerminated):
                raise Http2Error(f"{type(event).__name__} {event.error_code}")
        writer.write(connection.data_to_send())
    raise Http2Error("the connection was closed")


async def serve(
    first: bytes,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answer: Callable[[Message], Awaitable[Message]],
) -> None:
    """Answer requests until the client goes away. ``first``: what was read of it already."""
    connection = H2Connection(_configuration(client_side=False))
    connection.initiate_connection()
    requests: dict[int, Message] = {}
    data = first
    while data:
        for event in connection.receive_data(data):
            if isinstance(event, RequestReceived):
                requests[event.stream_id] = Message(headers=_decoded(event.headers))
            elif isinstance(event, DataReceived):
                requests[event.stream_id].body += event.data
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                response = await answer(requests.pop(event.stream_id))
                _send(connection, event.stream_id, response)
            elif isinstance(event, StreamReset):
                requests.pop(event.stream_id, None)
        writer.write(connection.data_to_send())
        await writer.drain()
        data = await reader.read(65536)


def _send(connection: H2Connection, stream: int, response: Message) -> None:
    connection.send_headers(stream, response.headers)
    # An answer is shorter than the smallest window that a client may give.
    connection.send_data(stream, response.body, end_stream=not response.trailers)
    if response.trailers:
        connection.send_headers(stream, response.trailers, end_stream=True)


def _configuration(*, client_side: bool) -> H2Configuration:
    return H2Configuration(
        client_side=client_side,
        header_encoding=None,
        validate_inbound_headers=False,
        validate_outbound_headers=False,
        normalize_outbound_headers=False,
    )


def _decoded(headers: list[tuple[bytes, bytes]]) -> Headers:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
