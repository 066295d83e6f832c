"""Health checks of every kind against programs that answer here; each field decides a verdict."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from clew.agent.certificates import signing_request
from clew.agent.probes import check, watch_probe
from clew.agent.spec import AgentSpec, AppSpec
from clew.ca.authority import issue
from clew.ca.keys import load_or_create
from clew.model.pod import (
    ExecAction,
    GRPCAction,
    HTTPGetAction,
    HTTPHeader,
    Probe,
    TCPSocketAction,
)
from tests.agent.specs import without_capture
from tests.certificates import private_pem

APP = AppSpec(command=("true",), env={"PATH": os.environ["PATH"]})
NOWHERE = 9  # the port of "discard", where nobody listens


@asynccontextmanager
async def program(
    status: Callable[[str], int], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """An HTTP server on loopback; ``status`` says what it answers to a request's head."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            writer.write(f"HTTP/1.1 {status(head)} x\r\ncontent-length: 0\r\n\r\n".encode())
            await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


def at(port: int) -> AgentSpec:
    """A workload whose program listens at ``port`` for its container port 9080."""
    return without_capture(app_ports={"9080": port})


def verdict(probe: Probe, status: Callable[[str], int], **options: Any) -> bool:
    async def scenario() -> bool:
        async with program(status, **options) as port:
            return await check(at(port), APP, probe)

    return asyncio.run(scenario())


def http(**fields: Any) -> Probe:
    return Probe(http_get=HTTPGetAction(port=9080, **fields))


@pytest.mark.proves("Probe.httpGet", "HTTPGetAction.port")
@pytest.mark.parametrize(
    ("status", "healthy"), [(200, True), (302, True), (199, False), (404, False), (503, False)]
)
def test_a_status_from_200_to_399_is_healthy(status: int, healthy: bool) -> None:
    assert verdict(http(), lambda _: status) is healthy


@pytest.mark.proves("HTTPGetAction.path")
def test_the_path_is_asked_for() -> None:
    assert verdict(http(path="/ok?full=1"), lambda head: 200 if " /ok?full=1 " in head else 500)
    assert verdict(http(path="ok"), lambda head: 200 if " /ok " in head else 500)
    assert verdict(http(), lambda head: 200 if " / " in head else 500)


@pytest.mark.proves("HTTPGetAction.httpHeaders", "HTTPHeader.name", "HTTPHeader.value")
def test_the_headers_are_sent() -> None:
    probe = http(http_headers=(HTTPHeader(name="x-token", value="secret"),))
    assert verdict(probe, lambda head: 200 if "x-token: secret" in head else 500)


@pytest.mark.proves("HTTPGetAction.scheme")
def test_https_is_spoken_with_whatever_certificate_the_program_has(tmp_path: Path) -> None:
    tls = server_tls(tmp_path)
    assert verdict(http(scheme="HTTPS"), lambda _: 200, tls=tls)
    assert not verdict(http(scheme="HTTP"), lambda _: 200, tls=tls)


def server_tls(folder: Path) -> ssl.SSLContext:
    authority = load_or_create(folder / "ca", "cluster.local", now=datetime.now(UTC))
    key = ec.generate_private_key(ec.SECP256R1())
    name = "spiffe://cluster.local/ns/default/sa/app"
    chain = issue(authority, signing_request(key, name), name, now=datetime.now(UTC), serial=12345)
    private = private_pem(key)
    file = folder / "server.pem"
    file.write_bytes(private + "".join(chain).encode())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context


@pytest.mark.proves("HTTPGetAction.host", "TCPSocketAction.host")
def test_a_host_is_asked_instead_of_the_program() -> None:
    async def scenario() -> None:
        async with program(lambda head: 200 if "localhost:" in head else 500) as port:
            spec = at(NOWHERE)
            elsewhere = HTTPGetAction(port=port, host="localhost")
            assert await check(spec, APP, Probe(http_get=elsewhere))
            assert not await check(spec, APP, Probe(http_get=HTTPGetAction(port=9080)))
            other = TCPSocketAction(port=port, host="127.0.0.1")
            assert await check(spec, APP, Probe(tcp_socket=other))
            assert not await check(spec, APP, Probe(tcp_socket=TCPSocketAction(port=9080)))

    asyncio.run(scenario())


@pytest.mark.proves("Probe.tcpSocket", "TCPSocketAction.port")
def test_a_port_that_accepts_is_healthy() -> None:
    probe = Probe(tcp_socket=TCPSocketAction(port=9080))
    assert verdict(probe, lambda _: 500)
    assert not asyncio.run(check(at(NOWHERE), APP, probe))


@pytest.mark.proves("Probe.exec", "ExecAction.command")
def test_a_command_that_ends_with_zero_is_healthy() -> None:
    def probe(program: str) -> Probe:
        return Probe(exec=ExecAction(command=(sys.executable, "-c", program)), timeout_seconds=10)

    assert asyncio.run(check(at(NOWHERE), APP, probe("raise SystemExit(0)")))
    assert not asyncio.run(check(at(NOWHERE), APP, probe("raise SystemExit(3)")))
    missing = Probe(exec=ExecAction(command=("/no/such/program",)))
    assert not asyncio.run(check(at(NOWHERE), APP, missing))


@pytest.mark.proves("Probe.grpc", "GRPCAction.port", "GRPCAction.service")
def test_grpcs_health_service_is_asked_for_the_named_service() -> None:
    async def answer(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        serving = {b"": b"\x08\x01", b"\n\x05store": b"\x08\x01", b"\n\x05queue": b"\x08\x02"}
        if request not in serving:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return serving[request]

    async def scenario() -> None:
        server = grpc.aio.server()
        check_health = {"Check": grpc.unary_unary_rpc_method_handler(answer)}
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("grpc.health.v1.Health", check_health),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        verdicts = {
            name: await check(at(port), APP, Probe(grpc=GRPCAction(port=9080, service=name)))
            for name in ("", "store", "queue", "unknown")
        }
        await server.stop(None)
        assert verdicts == {"": True, "store": True, "queue": False, "unknown": False}
        assert not await check(at(port), APP, Probe(grpc=GRPCAction(port=9080)))

    asyncio.run(scenario())


@pytest.mark.proves("Probe.timeoutSeconds")
def test_an_answer_that_is_late_is_a_failure() -> None:
    async def scenario() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(1.3)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        spec = at(int(server.sockets[0].getsockname()[1]))
        action = HTTPGetAction(port=9080)
        impatient, patient = await asyncio.gather(
            check(spec, APP, Probe(http_get=action, timeout_seconds=1)),
            check(spec, APP, Probe(http_get=action, timeout_seconds=3)),
        )
        server.close()
        assert (impatient, patient) == (False, True)

    asyncio.run(scenario())


@pytest.mark.proves("Probe.initialDelaySeconds", "Probe.periodSeconds")
def test_the_first_question_waits_for_the_delay_and_the_next_for_the_period() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        asked: list[float] = []

        def status(head: str) -> int:
            asked.append(loop.time())
            return 200 if len(asked) == 1 else 500

        async with program(status) as port:
            probe = Probe(
                http_get=HTTPGetAction(port=9080),
                initial_delay_seconds=1,
                period_seconds=1,
                failure_threshold=2,
            )
            began = loop.time()
            verdicts = []
            async for passing in watch_probe(at(port), APP, probe):
                verdicts.append(passing)
                if len(verdicts) == 2:
                    break
        assert verdicts == [True, False]
        waited = [later - earlier for earlier, later in zip([began, *asked], asked, strict=False)]
        assert len(waited) == 3
        assert all(0.95 <= seconds < 2 for seconds in waited)

    asyncio.run(scenario())
