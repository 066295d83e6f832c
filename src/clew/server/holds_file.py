"""Which objects are held, kept across restarts: a small file beside the store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from clew.api.messages import Key, Message, key_message
from clew.config.parse import parse_manifest
from clew.model.base import Resource, ResourceKey
from clew.server.holds import Hold
from clew.stores.store import Store


class _Entry(Message, frozen=True, kw_only=True):
    key: Key
    refused: int
    good: int
    reason: str


def save_holds(path: Path, held: Mapping[ResourceKey, Hold]) -> None:
    """Write the generations; what is in them is in the store's history."""
    entries = [
        _Entry(
            key=key_message(key),
            refused=hold.refused.metadata.generation,
            good=hold.good_generation,
            reason=hold.reason,
        )
        for key, hold in held.items()
    ]
    draft = path.with_suffix(".new")
    draft.write_bytes(msgspec.json.encode(entries))
    draft.replace(path)


async def load_holds(path: Path, store: Store) -> dict[ResourceKey, Hold]:
    """Return the holds that are still due. An unreadable file counts as none: proxies that
    refuse an object say so again.
    """
    held = {}
    for entry in _read(path):
        key = entry.key.resource_key()
        stored = await store.get(key)
        if stored is not None and stored.resource.metadata.generation == entry.refused:
            good = await _generation(store, key, entry.good)
            held[key] = Hold(refused=stored.resource, good=good, reason=entry.reason)
    return held


def _read(path: Path) -> list[_Entry]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[_Entry])
    except (OSError, msgspec.DecodeError):
        return []


async def _generation(store: Store, key: ResourceKey, generation: int) -> Resource | None:
    if not generation:
        return None
    for entry in await store.history(key):
        manifest = entry.manifest
        if manifest is not None and manifest["metadata"].get("generation") == generation:
            return parse_manifest(manifest).resource
    return None
