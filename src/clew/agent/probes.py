"""Asks the application how it is: HTTP, TCP, a command, or gRPC's health service."""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator

import grpc
from google.protobuf.wrappers_pb2 import StringValue

from clew.agent.capture import INBOUND_SOURCE, PROXY_MARK
from clew.agent.http_client import encode_request, exchange
from clew.agent.probe_state import ProbeState, with_defaults
from clew.agent.spec import AgentSpec, AppSpec, Capture
from clew.model.pod import GRPCAction, HTTPGetAction, Probe

_HEALTH_METHOD = "/grpc.health.v1.Health/Check"
_SERVING = b"\x08\x01"  # HealthCheckResponse{status: SERVING}
_SUCCESS = range(200, 400)
_FIRST_SUCCESS_POLL_SECONDS = 0.1


async def watch_probe(spec: AgentSpec, app: AppSpec, probe: Probe) -> AsyncIterator[bool]:
    """Yield the probe's verdict whenever it changes, for ever.

    Before the first success the application is asked more often than each period, so that it is
    ready as soon as it is; only one failure per period counts, as in kubelet.
    """
    probe = with_defaults(probe)
    state = ProbeState()
    await asyncio.sleep(probe.initial_delay_seconds)
    loop = asyncio.get_running_loop()
    counted = float("-inf")
    while True:
        succeeded = await check(spec, app, probe)
        previous = state.passing
        period_over = loop.time() - counted >= probe.period_seconds
        if succeeded or period_over or previous is not None:
            state = state.after(succeeded, probe)
            counted = loop.time()
        if state.passing is not None and state.passing != previous:
            yield state.passing
        waiting = state.passing is None and not succeeded
        await asyncio.sleep(
            min(_FIRST_SUCCESS_POLL_SECONDS, probe.period_seconds)
            if waiting
            else probe.period_seconds
        )


async def check(spec: AgentSpec, app: AppSpec, probe: Probe) -> bool:
    """Probe once. Everything that goes wrong, and a late answer, is a failure."""
    try:
        async with asyncio.timeout(with_defaults(probe).timeout_seconds):
            return await _act(spec, app, probe)
    except (OSError, ValueError, EOFError, grpc.aio.AioRpcError):
        return False


async def _act(spec: AgentSpec, app: AppSpec, probe: Probe) -> bool:
    if probe.http_get is not None:
        return await _http_get(spec, app, probe.http_get)
    if probe.tcp_socket is not None:
        action = probe.tcp_socket
        return await accepts(spec, port_number(app, action.port), action.host)
    if probe.exec is not None:
        return await _execute(app, probe.exec.command)
    if probe.grpc is not None:
        return await _grpc_health(spec, probe.grpc)
    return True


def port_number(app: AppSpec, port: int | str) -> int:
    """Return the number of a container port given by number or by name.

    Raises:
        ValueError: the application has no port of that name.
    """
    if isinstance(port, int) or port.isdigit():
        return int(port)
    if port not in app.ports:
        raise ValueError(f"no port is named {port!r}")
    return app.ports[port]


def listening_address(spec: AgentSpec, port: int) -> tuple[str, int]:
    """Return where the application really listens for a container port."""
    if spec.capture is Capture.ENV:
        return "127.0.0.1", spec.app_ports.get(str(port), port)
    return spec.ip, port


async def connect(
    spec: AgentSpec, port: int, elsewhere: str = ""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str]:
    """Connect to the application itself, past its own proxy, the way its proxy does.

    ``elsewhere``: another host that the probe names, which is asked past the proxy as well.

    Raises:
        OSError: it does not accept.
    """
    host, number = (elsewhere, port) if elsewhere else listening_address(spec, port)
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, number, type=socket.SOCK_STREAM)
    family, kind, protocol, _, address = found[0]
    connection = socket.socket(family, kind, protocol)
    try:
        connection.setblocking(False)
        if spec.capture is Capture.NETNS:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, PROXY_MARK)
            if not elsewhere:
                connection.bind((INBOUND_SOURCE if family == socket.AF_INET else "::1", 0))
        await loop.sock_connect(connection, address)
        reader, writer = await asyncio.open_connection(sock=connection)
    except BaseException:
        connection.close()
        raise
    return reader, writer, f"{elsewhere or spec.ip}:{port}"


async def accepts(spec: AgentSpec, port: int, elsewhere: str = "") -> bool:
    _, writer, _ = await connect(spec, port, elsewhere)
    writer.close()
    return True


async def _http_get(spec: AgentSpec, app: AppSpec, action: HTTPGetAction) -> bool:
    reader, writer, host = await connect(spec, port_number(app, action.port), action.host)
    if action.scheme.upper() == "HTTPS":
        await writer.start_tls(_any_certificate())
    headers = {"User-Agent": "kube-probe/1.35", "Accept": "*/*"}
    headers |= {header.name: header.value for header in action.http_headers}
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    response = await exchange(
        reader, writer, encode_request("GET", path, host=host, headers=headers)
    )
    return response.status in _SUCCESS


def _any_certificate() -> ssl.SSLContext:
    """Kubelet does not verify the application's certificate either."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _execute(app: AppSpec, command: tuple[str, ...]) -> bool:
    process = await asyncio.create_subprocess_exec(
        *command,
        env=app.env,
        cwd=app.working_dir or None,
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=DEVNULL,
    )
    try:
        return await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()


async def _grpc_health(spec: AgentSpec, action: GRPCAction) -> bool:
    """Ask gRPC's standard health service."""
    _, number = listening_address(spec, action.port)
    # On the wire the request is a string in field 1, as StringValue is.
    request = StringValue(value=action.service).SerializeToString()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{number}") as channel:
        answer = await channel.unary_unary(_HEALTH_METHOD)(request)
    return bool(answer == _SERVING)
