"""A control plane with a store, and real Envoys that get what it makes of the store's objects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx2

from clew.api.messages import ObjectStatus
from clew.ca.keys import load_or_create
from clew.config.parse import parse_documents
from clew.model.base import ResourceKey
from clew.server.ads import AdsServer, require_identity
from clew.server.directory import Directory
from clew.server.holds import Holds
from clew.server.mtls import ServingCertificate
from clew.server.object_standings import settled
from clew.server.publisher import Publisher
from clew.stores.namespaces import in_namespace
from tests.envoy.rig import running_envoy
from tests.server.serving import serving
from tests.stores.memory import MemoryStore
from tests.stores.objects import noon

_GROUPS = {
    "Secret": "",
    "RequestAuthentication": "security.istio.io",
    "AuthorizationPolicy": "security.istio.io",
}


@dataclass
class LiveMesh:
    """What a test asks of the mesh while Envoy runs. Objects are in ``default``."""

    store: MemoryStore
    directory: Directory
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def apply(self, text: str) -> None:
        """Apply all documents at once: one batch."""
        for document in parse_documents(text):
            placed = in_namespace(document, "default")
            assert placed.resource is not None
            assert placed.valid, placed.diagnostics
            await self.store.apply(placed.resource, placed.manifest, author="test")

    async def status(self, kind: str, name: str) -> ObjectStatus:
        """The standing of an object, once it is settled."""
        group = _GROUPS.get(kind, "networking.istio.io")
        key = ResourceKey(group, kind, "default", name)
        found = await settled(key, self.store, self.directory, 20, self.closing)
        assert found.settled, found
        return found


@asynccontextmanager
async def live_mesh(
    folder: Path, text: str = "", *, holds: Holds | None = None
) -> AsyncIterator[LiveMesh]:
    """A control plane for the manifests of ``text`` at ``folder``/xds.sock."""
    holds = holds or Holds()
    store = MemoryStore(now=noon)
    mesh = LiveMesh(store, Directory(Publisher(), 0, holds))
    await mesh.apply(text)
    revision, objects = await store.list()
    publisher = Publisher((stored.resource for stored in objects), revision)
    mesh.directory = Directory(publisher, revision, holds)
    authority = load_or_create(folder / "ca", "cluster.local", now=datetime.now(UTC))
    ads = AdsServer(mesh.directory, require_identity(lambda: ("cluster.local",)))
    certificate = ServingCertificate(lambda: authority, "cluster.local")
    async with serving(f"unix:{folder}/xds.sock", ads.methods(), certificate.mutual):
        following = asyncio.create_task(_follow(mesh, revision))
        try:
            yield mesh
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def _follow(mesh: LiveMesh, revision: int) -> None:
    async for changes in mesh.store.watch(revision):
        mesh.directory.take(changes)


@asynccontextmanager
async def ingress(folder: Path) -> AsyncIterator[None]:
    """An ingress gateway that listens on loopback."""
    labels = {"istio": "ingressgateway"}
    async with running_envoy(
        folder, type="router", name="ingress-0", labels=labels, bind_address="127.0.0.1"
    ):
        yield


async def answer(port: int, host: str, path: str = "/") -> tuple[int, str]:
    async with httpx2.AsyncClient() as client:
        response = await client.get(f"http://127.0.0.1:{port}{path}", headers={"host": host})
        return response.status_code, response.text


async def eventually_answers(port: int, host: str, path: str = "/") -> tuple[int, str]:
    """The first answer but "not there yet": a listener begins to listen after its ACK."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await answer(port, host, path)
            except httpx2.TransportError:
                await asyncio.sleep(0.02)
