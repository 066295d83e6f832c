import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc
import pytest

from clew.server.http2.call import INVALID_ARGUMENT, Call, Method
from clew.server.http2.server import GrpcServer
from tests.server.http2.pki import OPTIONS, Certificates, certificates


class Echo:
    """Sends back what it hears, and ends when its caller has said all."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.drains = 0

    def message(self, body: bytes) -> None:
        if body == b"refuse":
            self.call.finish(INVALID_ARGUMENT, "100 % refused: ü")
        elif body == b"fail":
            raise RuntimeError("a bug")
        elif body == b"who":
            self.call.send(repr(self.call.caller.names).encode())
        else:
            self.call.send(body)

    def ended(self) -> None:
        self.call.finish()

    def drained(self) -> None:
        self.drains += 1

    def closed(self) -> None: ...


METHODS = {
    "/test.Echo/Talk": Method(Echo, longest=64 * 1024 * 1024),
    "/test.Echo/Short": Method(Echo, 10),
}
LIMITS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


@asynccontextmanager
async def serving(
    context: Callable[[], ssl.SSLContext] | None = None,
) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = GrpcServer(listener, METHODS, context)
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        await server.stop()


def talk(channel: grpc.aio.Channel, method: str = "Talk") -> grpc.aio.StreamStreamMultiCallable:
    return channel.stream_stream(f"/test.Echo/{method}")


async def said(bodies: list[bytes]) -> AsyncIterator[bytes]:
    for body in bodies:
        yield body


async def answers(
    channel: grpc.aio.Channel, bodies: list[bytes], method: str = "Talk"
) -> list[bytes]:
    return [answer async for answer in talk(channel, method)(said(bodies))]


@pytest.mark.parametrize("size", [0, 1, 16_379, 16_384, 70_000, 20_000_000])
def test_messages_of_any_size_come_through_whole(size: int) -> None:
    async def scenario() -> None:
        body = bytes(range(256)) * (size // 256 + 1)
        async with serving() as address, grpc.aio.insecure_channel(address, LIMITS) as channel:
            assert await answers(channel, [body[:size], b"short"]) == [body[:size], b"short"]

    asyncio.run(scenario())


def test_one_call_answers_one_request() -> None:
    async def scenario() -> bytes:
        async with serving() as address, grpc.aio.insecure_channel(address) as channel:
            answer: bytes = await channel.unary_unary("/test.Echo/Talk")(b"hello")
            return answer

    assert asyncio.run(scenario()) == b"hello"


@pytest.mark.parametrize(
    ("method", "body", "code", "text"),
    [
        ("Talk", b"refuse", grpc.StatusCode.INVALID_ARGUMENT, "100 % refused: ü"),
        ("Talk", b"fail", grpc.StatusCode.INTERNAL, "the control plane's log says why"),
        ("Short", b"more than ten", grpc.StatusCode.RESOURCE_EXHAUSTED, "at most 10"),
        ("Absent", b"hello", grpc.StatusCode.UNIMPLEMENTED, "/test.Echo/Absent"),
    ],
)
def test_an_outcome_has_a_code_and_a_reason(
    method: str, body: bytes, code: grpc.StatusCode, text: str
) -> None:
    async def scenario() -> None:
        async with serving() as address, grpc.aio.insecure_channel(address) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await channel.unary_unary(f"/test.Echo/{method}")(body)
            assert failure.value.code() is code
            assert text in (failure.value.details() or "")
            assert await answers(channel, [b"again"]) == [b"again"], "on the same connection"

    asyncio.run(scenario())


def test_many_calls_share_a_connection() -> None:
    async def scenario() -> list[list[bytes]]:
        async with serving() as address, grpc.aio.insecure_channel(address) as channel:
            calls = (answers(channel, [b"%d" % number] * 3) for number in range(100))
            return await asyncio.gather(*calls)

    assert asyncio.run(scenario()) == [[b"%d" % number] * 3 for number in range(100)]


@pytest.fixture(scope="module")
def pki() -> Certificates:
    return certificates()


def test_a_caller_is_who_its_certificate_names(pki: Certificates) -> None:
    async def scenario() -> list[bytes]:
        async with (
            serving(pki.context) as address,
            grpc.aio.secure_channel(address, pki.client, OPTIONS) as channel,
        ):
            return await answers(channel, [b"who", b"x" * 300_000])

    who, long = asyncio.run(scenario())
    assert who == b"(('URI', 'spiffe://cluster.local/ns/a/sa/b'),)"
    assert long == b"x" * 300_000


@pytest.mark.parametrize("who", ["stranger", "anonymous"])
def test_who_has_no_certificate_of_the_mesh_is_refused(
    pki: Certificates, who: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with (
            serving(pki.context) as address,
            grpc.aio.secure_channel(address, getattr(pki, who), OPTIONS) as channel,
            grpc.aio.secure_channel(address, pki.client, OPTIONS) as neighbour,
        ):
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await answers(channel, [b"who"])
            assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
            assert await answers(neighbour, [b"hello"]) == [b"hello"]

    asyncio.run(scenario())
    assert "connection refused reason=" in caplog.text


def test_where_no_certificate_is_required_a_caller_without_one_has_no_names(
    pki: Certificates,
) -> None:
    async def scenario() -> list[bytes]:
        async with (
            serving(pki.open_context) as address,
            grpc.aio.secure_channel(address, pki.anonymous, OPTIONS) as channel,
        ):
            return await answers(channel, [b"who"])

    assert asyncio.run(scenario()) == [b"()"]


def test_calls_end_when_the_server_stops() -> None:
    async def scenario() -> grpc.StatusCode:
        listener = socket.create_server(("127.0.0.1", 0))
        server = GrpcServer(listener, METHODS)
        port = listener.getsockname()[1]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = talk(channel)()
            await call.write(b"hello")
            assert await call.read() == b"hello"
            await server.stop()
            # A client that was about to write may hear of the closed socket before our words.
            with pytest.raises(grpc.aio.AioRpcError):
                await call.read()
            return await call.code()

    assert asyncio.run(scenario()) is grpc.StatusCode.UNAVAILABLE
