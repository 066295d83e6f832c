"""Policies at a real gateway: what comes and goes under load, and who is asked."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from clew.agent.directory import ADMIN_SOCKET
from clew.model.base import ResourceKey
from tests.envoy.mesh import LiveMesh, eventually_answers, ingress, live_mesh
from tests.envoy.program import backend
from tests.envoy.rig import free_port
from tests.envoy.worlds import GATEWAY

TCP = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: tcp}}
spec:
  selector: {{istio: ingressgateway}}
  servers: [{{port: {{number: {port}, name: tcp, protocol: TCP}}, hosts: ["*"]}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: tcp}}
spec:
  hosts: ["*"]
  gateways: [tcp]
  tcp: [{{route: [{{destination: {{host: web.example.com, port: {{number: 80}}}}}}]}}]
"""
FLIPS = 12
CLIENTS = 4


def policy(action: str, *rules: object, name: str = "flip", **spec: object) -> str:
    metadata = {"name": name, "namespace": "default", **spec.pop("metadata", {})}  # type: ignore[dict-item]
    body = {"action": action, "rules": list(rules), **spec}
    head = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy"}
    return json.dumps({**head, "metadata": metadata, "spec": body})


def paths(*listed: str) -> object:
    return {"to": [{"operation": {"paths": list(listed)}}]}


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connection(port: int) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@dataclass(frozen=True, slots=True)
class Answer:
    path: str
    began: float
    ended: float
    status: int


@dataclass
class Client:
    """Asks for ever on one connection; a connection that ends is an error."""

    port: int
    answers: list[Answer] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    async def run(self) -> None:
        async with connection(self.port) as (reader, writer):
            try:
                while True:
                    for path in ("/open", "/private"):
                        began = time.monotonic()
                        status = await ask(reader, writer, path)
                        self.answers.append(Answer(path, began, time.monotonic(), status))
            except (OSError, asyncio.IncompleteReadError) as error:
                self.broken.append(repr(error))


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> int:
    writer.write(f"GET {path} HTTP/1.1\r\nHost: web\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    assert "connection: close" not in head, "the connection is to be drained"
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
    await reader.readexactly(length)
    return int(head.split()[1])


@asynccontextmanager
async def asking(port: int) -> AsyncIterator[list[Client]]:
    clients = [Client(port) for _ in range(CLIENTS)]
    tasks = [asyncio.create_task(each.run()) for each in clients]
    try:
        yield clients
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def gateway(folder: Path, *more: str) -> AsyncIterator[tuple[LiveMesh, int]]:
    port = free_port()
    async with backend("web") as serving:
        text = "\n---\n".join((GATEWAY.format(port=port, backend=serving), *more))
        async with live_mesh(folder, text) as mesh, ingress(folder):
            await eventually_answers(port, "web")
            yield mesh, port


async def remove(mesh: LiveMesh, name: str = "flip") -> None:
    key = ResourceKey("security.istio.io", "AuthorizationPolicy", "default", name)
    await mesh.store.delete(key, author="test")


async def until_answered(port: int, path: str, wanted: int) -> float:
    """When a new connection was answered with this status."""
    async with asyncio.timeout(20):
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                async with connection(port) as (reader, writer):
                    if await ask(reader, writer, path) == wanted:
                        return time.monotonic()
            await asyncio.sleep(0.005)


def check(clients: Sequence[Client], periods: Sequence[tuple[float, float, int]]) -> int:
    """Hold every answer in these periods to the status of "/private" there; return how many."""
    seen = 0
    for client in clients:
        assert client.broken == []
        assert {each.status for each in client.answers if each.path == "/open"} == {200}
        for answer in client.answers:
            for begins, ends, wanted in periods:
                if answer.path == "/private" and begins < answer.began and answer.ended < ends:
                    assert answer.status == wanted
                    seen += 1
    return seen


@pytest.mark.timeout(90)
def test_policies_flip_under_load_and_break_nothing(tmp_path: Path) -> None:
    """From the first policy to the last, on connections that were there before."""

    async def run() -> None:
        periods = []
        async with gateway(tmp_path) as (mesh, port), asking(port) as clients:
            for flip in range(FLIPS):
                begins = await until_answered(port, "/private", 200)
                await asyncio.sleep(0.05)
                periods.append((begins, time.monotonic(), 200))
                allow = flip % 3 == 2
                text = policy("ALLOW", paths("/open")) if allow else policy("DENY", paths("/priv*"))
                await mesh.apply(text)
                begins = await until_answered(port, "/private", 403)
                await asyncio.sleep(0.05)
                periods.append((begins, time.monotonic(), 403))
                await remove(mesh)
            await until_answered(port, "/private", 200)
        assert check(clients, periods) > FLIPS * CLIENTS

    asyncio.run(run())


def test_connections_that_are_open_outlive_policies(tmp_path: Path) -> None:
    """They are denied when they begin, or never."""
    port = free_port()

    async def run() -> None:
        async with gateway(tmp_path, TCP.format(port=port)) as (mesh, _):
            await until_answered(port, "/", 200)
            rule = {"to": [{"operation": {"ports": [str(port)]}}]}
            async with connection(port) as (reader, writer):
                for _ in range(3):
                    assert await ask(reader, writer, "/") == 200
                    await mesh.apply(policy("DENY", rule))
                    await until_refused(port)
                    assert await ask(reader, writer, "/") == 200
                    await remove(mesh)
                    await until_answered(port, "/", 200)

    asyncio.run(run())


async def until_refused(port: int) -> None:
    """Wait until a new connection is not answered."""
    async with asyncio.timeout(20):
        while True:
            try:
                async with connection(port) as (reader, writer):
                    await ask(reader, writer, "/")
            except (OSError, asyncio.IncompleteReadError):
                return
            await asyncio.sleep(0.005)


LOGGED = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "accessLogFile: /dev/stdout"}
"""


async def admin(folder: Path, method: str, path: str) -> str:
    transport = httpx2.AsyncHTTPTransport(uds=str(folder / ADMIN_SOCKET))
    async with httpx2.AsyncClient(transport=transport, base_url="http://envoy") as client:
        return (await client.request(method, path)).text


def test_the_access_log_names_the_rule_that_denied(tmp_path: Path) -> None:
    async def run() -> None:
        async with gateway(tmp_path, LOGGED, policy("DENY", paths("/private"))) as (_, port):
            await until_answered(port, "/private", 403)
            async with asyncio.timeout(20):
                while True:
                    # Envoy writes what it has when it opens its logs anew.
                    await admin(tmp_path, "POST", "/reopen_logs")
                    if "policy[ns[default]-policy[flip]-rule[0]]" in log(tmp_path):
                        return
                    await asyncio.sleep(0.05)

    asyncio.run(run())


def log(folder: Path) -> str:
    return (folder / "envoy.log").read_text(errors="replace")


def test_a_dry_run_shows_in_statistics_and_denies_nothing(tmp_path: Path) -> None:
    tried = policy(
        "DENY", paths("/private"), metadata={"annotations": {"istio.io/dry-run": "true"}}
    )

    async def run() -> None:
        async with gateway(tmp_path, tried) as (_, port):
            await until_answered(port, "/private", 200)
            found = await admin(tmp_path, "GET", "/stats?filter=istio_dry_run_deny_.*shadow_denied")
            assert found.strip().endswith(": 1"), found

    asyncio.run(run())
