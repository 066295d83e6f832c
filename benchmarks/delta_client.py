"""A light client of delta ADS: one connection, one stream, and little work per message.

It stands for a proxy when a thousand of them must fit beside the control plane on one machine.
Its HTTP/2 is what such a conversation needs and no more.
"""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Iterator

from clew._pb.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
)
from clew.model.xds import CLUSTER, ENDPOINTS, LISTENER, ROUTE, TypeUrl

SERVER_NAME = "istiod.istio-system.svc"
_PATH = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
_HEADERS = (
    (":method", "POST"),
    (":scheme", "https"),
    (":path", _PATH),
    (":authority", SERVER_NAME),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
)
_DATA, _HEADERS_FRAME, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_HEADERS, _ACKNOWLEDGED = 4, 1
_INITIAL_WINDOW_SIZE = 4
_LARGEST_WINDOW, _DEFAULT_WINDOW = 2**31 - 1, 65_535
# What a proxy asks for once it has this: it goes through the types one after the other.
_NEXT = {CLUSTER: ENDPOINTS, ENDPOINTS: LISTENER, LISTENER: ROUTE}


class DeltaClient:
    """Subscribes as an Envoy does, and acknowledges whatever comes.

    ``ready`` once it has had an answer for every type; ``heard`` counts messages, and ``arrived``
    is when the last bytes came.
    """

    def __init__(self, connection: socket.socket, node_id: str, routes: tuple[str, ...]) -> None:
        self.ready = False
        self.heard = 0
        self.arrived = 0.0
        self._connection = connection
        self._routes = routes
        self._frames = bytearray()
        self._message = bytearray()
        window = struct.pack("!HI", _INITIAL_WINDOW_SIZE, _LARGEST_WINDOW)
        more = struct.pack("!I", _LARGEST_WINDOW - _DEFAULT_WINDOW)
        first = DeltaDiscoveryRequest(type_url=CLUSTER)
        first.node.id = node_id
        connection.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + _frame(_SETTINGS, 0, 0, window)
            + _frame(_WINDOW_UPDATE, 0, 0, more)
            + _frame(_HEADERS_FRAME, _END_HEADERS, 1, b"".join(map(_header, _HEADERS)))
            + _data(first)
        )

    def fileno(self) -> int:
        return self._connection.fileno()

    def receive(self) -> None:
        """Take what has arrived. Raises: ConnectionError when the server has ended the stream."""
        arrived = self._connection.recv(1 << 18)
        self.arrived = time.monotonic()
        if not arrived:
            raise ConnectionError("the control plane hung up")
        self._frames += arrived
        answers = b"".join(self._answers())
        if answers:
            self._connection.sendall(answers)

    def pending(self) -> bool:
        """Whether decrypted bytes wait that no poll would tell of."""
        return isinstance(self._connection, ssl.SSLSocket) and self._connection.pending() > 0

    def _answers(self) -> Iterator[bytes]:
        for kind, flags, payload in _take_frames(self._frames):
            if kind == _DATA:
                self._message += payload
                for body in _take_messages(self._message):
                    yield from self._answer(body)
            elif kind == _SETTINGS and not flags & _ACKNOWLEDGED:
                yield _frame(_SETTINGS, _ACKNOWLEDGED, 0, b"")
            elif kind == _PING and not flags & _ACKNOWLEDGED:
                yield _frame(_PING, _ACKNOWLEDGED, 0, payload)
            elif kind in (_RESET, _GOAWAY):
                raise ConnectionError(f"the control plane ended the stream: {payload!r}")

    def _answer(self, body: bytes) -> Iterator[bytes]:
        response = DeltaDiscoveryResponse.FromString(body)
        self.heard += 1
        yield _data(
            DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
        )
        following = _NEXT.get(TypeUrl(response.type_url))
        if self.ready:
            return
        if following is None:
            self.ready = True
            return
        names: tuple[str, ...] = ()
        if following == ENDPOINTS:
            names = tuple(r.name for r in response.resources if r.name.startswith("outbound|"))
        elif following == ROUTE:
            names = self._routes
        yield _data(DeltaDiscoveryRequest(type_url=following, resource_names_subscribe=names))


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    length = struct.pack("!I", len(payload))[1:]
    return length + struct.pack("!BBI", kind, flags, stream) + payload


def _data(request: DeltaDiscoveryRequest) -> bytes:
    """Frames of at most 16 KB, which is what a peer takes unless it says more."""
    body = request.SerializeToString()
    message = b"\0" + struct.pack("!I", len(body)) + body
    pieces = (message[i : i + 16_384] for i in range(0, len(message), 16_384))
    return b"".join(_frame(_DATA, 0, 1, piece) for piece in pieces)


def _header(field: tuple[str, str]) -> bytes:
    """HPACK's literal without indexing: no table to keep. Lengths must be below 127."""
    return b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in field)


def _take_frames(buffer: bytearray) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while len(buffer) - at >= 9:
        length = int.from_bytes(buffer[at : at + 3])
        if len(buffer) - at < 9 + length:
            break
        yield buffer[at + 3], buffer[at + 4], bytes(buffer[at + 9 : at + 9 + length])
        at += 9 + length
    del buffer[:at]


def _take_messages(buffer: bytearray) -> Iterator[bytes]:
    at = 0
    while len(buffer) - at >= 5:
        length = int.from_bytes(buffer[at + 1 : at + 5])
        if len(buffer) - at < 5 + length:
            break
        yield bytes(buffer[at + 5 : at + 5 + length])
        at += 5 + length
    del buffer[:at]
