"""A WorkloadGroup, and control planes at which proxies join it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from clew.config.parse import parse_manifest
from clew.model.base import ResourceKey
from clew.model.proxy import Proxy, ProxyType
from clew.model.spiffe import Identity
from clew.model.workload_entry import CONNECTED_AT, DISCONNECTED_AT
from clew.server.registration import Registration
from tests.stores.memory import MemoryStore
from tests.stores.objects import NOON

GROUP: dict[str, Any] = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "WorkloadGroup",
    "metadata": {"name": "vm", "namespace": "default"},
    "spec": {
        "metadata": {
            "labels": {"app": "reviews", "tier": "group"},
            "annotations": {"note": "from the group"},
        },
        "template": {
            "ports": {"http": 9080},
            "labels": {"tier": "template", "zone": "template"},
            "network": "lan",
            "locality": "r1/z1",
            "weight": 3,
            "serviceAccount": "reviews",
        },
        "probe": {"httpGet": {"port": 9080}},
    },
}
ENTRY = ResourceKey("networking.istio.io", "WorkloadEntry", "default", "vm-10.0.0.7")
IDENTITY = Identity("cluster.local", "default", "reviews")
GRACE = timedelta(seconds=0.05)


def proxy(**changes: Any) -> Proxy:
    fields: dict[str, Any] = {
        "type": ProxyType.SIDECAR,
        "name": "vm-0",
        "namespace": "default",
        "ip": "10.0.0.7",
        "auto_register_group": "vm",
        "health_checked": True,
        "labels": (("version", "v1"),),
    }
    return Proxy(**(fields | changes))


@dataclass
class Place:
    """A store, and control planes that share it."""

    store: MemoryStore = field(default_factory=lambda: MemoryStore(now=lambda: NOON))
    seconds: float = 0.0

    def now(self) -> Any:
        self.seconds += 0.001
        return NOON + timedelta(seconds=self.seconds)

    async def apply(self, manifest: dict[str, Any]) -> None:
        resource = parse_manifest(manifest).resource
        assert resource is not None
        await self.store.apply(resource, manifest, author="test")

    @asynccontextmanager
    async def control_plane(
        self, name: str = "clew", grace: timedelta = GRACE
    ) -> AsyncIterator[Registration]:
        registration = Registration(self.store, self.now, controller=name, grace=grace)
        running = asyncio.ensure_future(registration.run())
        try:
            yield registration
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def entry(self, key: ResourceKey = ENTRY) -> dict[str, Any] | None:
        stored = await self.store.get(key)
        return None if stored is None else dict(stored.manifest)

    async def annotations(self) -> dict[str, str]:
        manifest = await self.entry()
        assert manifest is not None
        return dict(manifest["metadata"]["annotations"])

    async def until(
        self, condition: Callable[[dict[str, Any] | None], bool], key: ResourceKey = ENTRY
    ) -> None:
        """Wait until the entry is so; time goes on meanwhile."""
        async with asyncio.timeout(10):
            while not condition(await self.entry(key)):
                self.seconds += 0.005
                await asyncio.sleep(0.005)


def run(scenario: Callable[[Place], Awaitable[None]]) -> None:
    async def with_group() -> None:
        place = Place()
        await place.apply(GROUP)
        await scenario(place)

    asyncio.run(with_group())


def is_connected(manifest: dict[str, Any] | None) -> bool:
    return manifest is not None and CONNECTED_AT in manifest["metadata"]["annotations"]


def is_disconnected(manifest: dict[str, Any] | None) -> bool:
    return manifest is not None and DISCONNECTED_AT in manifest["metadata"]["annotations"]


def is_gone(manifest: dict[str, Any] | None) -> bool:
    return manifest is None


def health(manifest: dict[str, Any] | None) -> dict[str, str]:
    conditions = ((manifest or {}).get("status") or {}).get("conditions", ())
    return next((dict(c) for c in conditions if c["type"] == "Healthy"), {})
