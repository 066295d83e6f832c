"""Headers that HTTP/2 can carry and HTTP/1.1 cannot: refused before they become other headers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset

from tests.envoy.mesh import ingress, live_mesh
from tests.envoy.raw import RawServer, eventually_open
from tests.envoy.rig import free_port
from tests.envoy.worlds import GATEWAY

Headers = Sequence[tuple[bytes, bytes]]

GOOD: Headers = (
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":authority", b"web.example.com"),
    (b":path", b"/first"),
)
# Each added to, or instead of, one of a good request.
BAD: tuple[Headers, ...] = (
    ((b"transfer-encoding", b"chunked"),),
    ((b"connection", b"close"),),
    ((b"te", b"chunked"),),
    ((b"x", b"a\r\ntransfer-encoding: chunked"),),
    ((b"x", b"a\nhost: other"),),
    ((b"x", b"a\x00b"),),
    ((b"x\r\nhost: other\r\ny", b"a"),),
    ((b"x: y", b"a"),),
    ((b"X-Upper", b"a"),),
    ((b"", b"a"),),
    ((b":path", b"/first HTTP/1.1\r\nhost: other\r\n\r\nGET /smuggled"),),
    ((b":path", b""),),
    ((b":method", b"GET /smuggled HTTP/1.1\r\nx:"),),
    ((b":authority", b"web.example.com\r\nx: y"),),
    ((b":unknown", b"a"),),
    ((b"content-length", b"5"),),
    ((b"content-length", b"1"), (b"content-length", b"2")),
)


def test_a_gateway_passes_nothing_on_that_would_become_another_request(tmp_path: Path) -> None:
    async def scenario() -> None:
        port = free_port()
        async with RawServer().running() as server:
            text = GATEWAY.format(port=port, backend=server.port)
            async with live_mesh(tmp_path, text), ingress(tmp_path):
                await eventually_open(port)
                assert await answer(port, GOOD) == "200"
                server.heads.clear()
                for bad in BAD:
                    names = [name for name, _ in bad]
                    rest = [each for each in GOOD if each[0] not in names]
                    special = [each for each in bad if each[0].startswith(b":")]
                    common = [each for each in bad if not each[0].startswith(b":")]
                    said = await answer(port, [*rest, *special, *common])
                    assert said in ("refused", "400", "404"), (bad, said)
                assert server.heads == []

    asyncio.run(scenario())


async def answer(port: int, headers: Headers) -> str:
    """The status of the answer to a request without a body; "refused" if there is none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    settings = H2Configuration(
        client_side=True,
        header_encoding=None,
        validate_outbound_headers=False,
        normalize_outbound_headers=False,
    )
    connection = H2Connection(settings)
    connection.initiate_connection()
    connection.send_headers(1, headers, end_stream=True)
    writer.write(connection.data_to_send())
    status = "refused"
    try:
        async with asyncio.timeout(10):
            while data := await reader.read(65536):
                for event in connection.receive_data(data):
                    if isinstance(event, ResponseReceived):
                        status = dict(event.headers)[b":status"].decode()
                    elif isinstance(event, StreamReset | ConnectionTerminated):
                        return "refused"
                    elif isinstance(event, StreamEnded):
                        return status
                    elif isinstance(event, DataReceived):
                        continue
                writer.write(connection.data_to_send())
        return status
    finally:
        writer.close()
