"""A control plane in a process of its own, a client's sidecar and a gateway: real Envoys."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2

from clew.agent.bootstrap import bootstrap
from clew.agent.certificates import certificate_secret, root_secret
from clew.agent.directory import ADMIN_SOCKET
from clew.agent.envoy_process import envoy_binary
from clew.agent.spec import AgentSpec, Capture
from clew.api.answers import ApiError, Unreachable
from clew.api.async_client import AsyncClient
from clew.ca.keys import load_or_create
from clew.model.base import ResourceKey
from tests.e2e.publishing.load import ask
from tests.e2e.publishing.world import GATEWAY, GATEWAY_NAME, NAMESPACE, SIDECAR, istio
from tests.envoy.rig import free_port
from tests.server.workload import workload

_WAIT_SECONDS = 40.0
_MARKER = "marker.test"
MESH = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "istio", "namespace": "istio-system"},
    "data": {"mesh": "outboundTrafficPolicy: {mode: REGISTRY_ONLY}"},
}


@dataclass
class Rig:
    """``ports`` by place: where requests enter. ``marks`` counts the barriers."""

    folder: Path
    ports: Mapping[str, int]
    server: Process | None = None
    marks: int = 0
    _exits: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def state(self) -> Path:
        return self.folder / "mesh"

    async def start_server(self) -> None:
        self.server = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "clew", "server", "--state-dir", str(self.state)),
            stdout=DEVNULL,
            stderr=DEVNULL,
        )
        await self.until_ready()

    async def until_ready(self) -> None:
        async with asyncio.timeout(_WAIT_SECONDS):
            while True:
                with suppress(Unreachable):
                    async with self.client() as client:
                        if await client.ready():
                            return
                await asyncio.sleep(0.02)

    async def kill_server(self) -> None:
        assert self.server is not None
        with suppress(ProcessLookupError):
            self.server.kill()
        await self.server.wait()

    def client(self) -> AsyncClient:
        return AsyncClient(self.state / "api.sock")

    async def apply(self, client: AsyncClient, *manifests: Mapping[str, Any]) -> list[str]:
        """Apply them with one request; return what became of each."""
        text = "\n---\n".join(json.dumps(manifest) for manifest in manifests)
        return [item.result for item in (await client.apply(text)).items]

    async def delete(self, client: AsyncClient, key: ResourceKey) -> None:
        with suppress(ApiError):
            await client.delete(key)

    async def barrier(self, client: AsyncClient) -> None:
        """Return when both proxies have everything that has been applied.

        Routes come last, so they have it when they have one more route; but what was removed goes
        after them.
        """
        self.marks += 1
        text = f"mark-{self.marks}"
        answer = {"status": 200, "body": {"string": text}}
        spec = {
            "hosts": [_MARKER],
            "gateways": ["mesh", GATEWAY_NAME],
            "http": [{"directResponse": answer}],
        }
        assert await self.apply(client, istio("VirtualService", "marker", spec)) != ["refused"]
        await asyncio.gather(*(self._sees(place, text) for place in self.ports))
        await self._until_nothing_is_on_its_way(client)

    async def _until_nothing_is_on_its_way(self, client: AsyncClient) -> None:
        async with asyncio.timeout(_WAIT_SECONDS):
            while True:
                proxies = (await client.proxies()).proxies
                states = {each.state for proxy in proxies for each in proxy.types.values()}
                if "pending" not in states:
                    return
                await asyncio.sleep(0.005)

    async def _sees(self, place: str, text: str) -> None:
        deadline = time.monotonic() + _WAIT_SECONDS
        heard: object = None
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[place])
                try:
                    while (heard := await ask(reader, writer, _MARKER, "/")) != (200, text):
                        assert time.monotonic() < deadline, f"{place} has {heard}, not {text}"
                        await asyncio.sleep(0.005)
                    return
                finally:
                    writer.close()
            assert time.monotonic() < deadline, f"{place} does not answer; last: {heard}"
            await asyncio.sleep(0.02)

    def complaints(self, place: str) -> list[str]:
        """What an Envoy has to say, but that Istio sets fields which it finds old."""
        lines = (self.folder / place / "envoy.log").read_text().splitlines()
        return [f"{place} {line}" for line in lines if "Deprecated field" not in line]

    async def stat(self, place: str, name: str) -> int:
        """One counter or gauge of an Envoy; the sum, if several match."""
        transport = httpx2.AsyncHTTPTransport(uds=str(self.folder / place / ADMIN_SOCKET))
        async with httpx2.AsyncClient(transport=transport, base_url="http://envoy") as client:
            text = (await client.get("/stats", params={"filter": name})).text
        return sum(int(line.rpartition(": ")[2]) for line in text.splitlines() if line)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Rig]:
    rig = Rig(folder, {SIDECAR: free_port(), GATEWAY: free_port()})
    rig.state.mkdir(mode=0o700)
    await rig.start_server()
    envoys = [await _start_envoy(rig, place) for place in rig.ports]
    try:
        async with rig.client() as client:
            await rig.apply(client, MESH, _marker_service())
        yield rig
    finally:
        for envoy in envoys:
            with suppress(ProcessLookupError):
                envoy.kill()
            await envoy.wait()
        await rig.kill_server()


def _marker_service() -> dict[str, Any]:
    spec = {
        "hosts": [_MARKER],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "resolution": "STATIC",
        "endpoints": [],
    }
    return istio("ServiceEntry", "marker", spec)


async def _start_envoy(rig: Rig, place: str) -> Process:
    folder = rig.folder / place
    (folder / "sds").mkdir(parents=True)
    spec = _spec(rig, place)
    document = bootstrap(spec)
    # Only what is looked at, for starting is not what is tested here.
    document["stats_config"] = {}
    (folder / "envoy.json").write_text(json.dumps(document))
    authority = load_or_create(rig.state / "ca", "cluster.local", now=datetime.now(UTC))
    own = workload(authority, NAMESPACE, "default", proxy=spec.name)
    (folder / "sds" / "default.json").write_bytes(certificate_secret(own.key, own.chain))
    (folder / "sds" / "rootca.json").write_bytes(root_secret(own.root))
    with (folder / "envoy.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            *(str(envoy_binary()), "-c", "envoy.json", "--concurrency", "1"),
            *("--disable-hot-restart", "--log-level", "warning"),
            cwd=folder,
            stdout=log,
            stderr=log,
        )


def _spec(rig: Rig, place: str) -> AgentSpec:
    is_gateway = place == GATEWAY
    return AgentSpec(
        mesh="test",
        type="router" if is_gateway else "sidecar",
        name=f"{place}-0",
        namespace=NAMESPACE,
        workload=place,
        ip="127.0.0.7",  # not that of the backends
        labels={"istio": "gateway"} if is_gateway else {"app": "client"},
        capture=Capture.NONE if is_gateway else Capture.ENV,
        xds=f"unix:{rig.state}/xds.sock",
        directory=str(rig.folder / place),
        readiness_port=0,
        prometheus_port=0,
        status_port=0,
        http_proxy_port=0 if is_gateway else rig.ports[place],
        bind_address="127.0.0.1" if is_gateway else "",
    )
