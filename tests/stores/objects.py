"""Objects to store, and readers of what a store says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

from clew.config.parse import parse_manifest
from clew.model.base import Resource, ResourceKey
from clew.stores.store import Change, Store, Stored

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def noon() -> datetime:
    return NOON


def config_map(name: str = "settings", **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": dict(data),
    }


def pod(name: str, ip: str = "") -> dict[str, Any]:
    manifest: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [{"name": "app"}]},
    }
    return manifest | ({"status": {"podIP": ip}} if ip else {})


def typed(manifest: dict[str, Any]) -> Resource:
    resource = parse_manifest(manifest).resource
    assert resource is not None
    return resource


def key(name: str = "settings", kind: str = "ConfigMap") -> ResourceKey:
    return ResourceKey("", kind, "default", name)


async def put(store: Store, manifest: dict[str, Any], **options: Any) -> Stored:
    return await store.apply(typed(manifest), manifest, **({"author": "ada"} | options))


async def next_batch(batches: AsyncIterator[Sequence[Change]]) -> Sequence[Change]:
    async with asyncio.timeout(10):
        return await anext(batches)
