"""What one write makes of an object: pure decisions that all stores share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from clew.model.base import Resource, ResourceKey
from clew.stores.store import Conflict, NotFound, Stored

# The store sets these; a manifest that differs in nothing else is the same manifest.
_SET_BY_THE_STORE = ("uid", "creationTimestamp", "generation", "resourceVersion")
_IGNORED = (*_SET_BY_THE_STORE, "managedFields", "selfLink")

# How many changes of one object its history keeps. Pods come and go by the thousand and change
# for the machine's reasons, not for a person's; the history of one ends with it.
HISTORY_LIMIT = 1000
EPHEMERAL_HISTORY_LIMITS = {"Pod": 10}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What a write receives from outside: the next revision, the time, an id if it is new.

    What is zero or empty is left out of the metadata, as in a dry run.
    """

    revision: int
    at: str
    uid: str


def timestamp(now: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as Kubernetes writes it."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def history_limit(kind: str) -> int:
    return EPHEMERAL_HISTORY_LIMITS.get(kind, HISTORY_LIMIT)


def is_ephemeral(kind: str) -> bool:
    return kind in EPHEMERAL_HISTORY_LIMITS


def revised(
    current: Stored | None, resource: Resource, manifest: Mapping[str, Any], stamp: Stamp
) -> Stored:
    """Return the object after the write: ``current`` itself when the write changes nothing.

    Uid and creation time stay for the life of the object. The generation grows when anything
    but metadata and status changes.
    """
    if current is not None and written(current.manifest) == written(manifest):
        return current
    set_by_store = _metadata(current, manifest, stamp)
    metadata = {k: v for k, v in manifest["metadata"].items() if k not in _IGNORED}
    return Stored(
        key=resource.key,
        revision=stamp.revision,
        manifest={**manifest, "metadata": {**metadata, **set_by_store}},
        resource=_with_metadata(resource, set_by_store),
    )


def only_status_differs(current: Stored | None, stored: Stored) -> bool:
    """Whether the step to ``stored`` is the machine's report, which no history needs."""
    if current is None:
        return False
    return _without_status(current.manifest) == _without_status(stored.manifest)


def check_revision(current: Stored | None, key: ResourceKey, expected: int | None) -> None:
    """Raise Conflict unless ``expected`` is the object's revision (0: it does not exist)."""
    actual = 0 if current is None else current.revision
    if expected is None or expected == actual:
        return
    if current is None:
        raise Conflict(f"{key} does not exist, and the write expects it at revision {expected}")
    if expected == 0:
        raise Conflict(f"{key} exists already, at revision {actual}")
    raise Conflict(
        f"{key} was changed meanwhile: it is at revision {actual}, and the write expects {expected}"
    )


def existing(current: Stored | None, key: ResourceKey) -> Stored:
    """Return the object, or raise NotFound in words for people."""
    if current is None:
        raise NotFound(f"there is no {key}")
    return current


def written(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest without what the store sets: what somebody wrote."""
    metadata = {k: v for k, v in manifest.get("metadata", {}).items() if k not in _IGNORED}
    return {**manifest, "metadata": metadata}


def _without_status(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in written(manifest).items() if k != "status"}


def _content(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in manifest.items() if k not in ("metadata", "status", "apiVersion")}


def _metadata(current: Stored | None, manifest: Mapping[str, Any], stamp: Stamp) -> dict[str, Any]:
    if current is None:
        uid, created, generation = stamp.uid, stamp.at, 1
    else:
        meta = current.resource.metadata
        uid, created = meta.uid, meta.creation_timestamp
        changed = _content(current.manifest) != _content(manifest)
        generation = meta.generation + changed
    values = (uid, created, generation, str(stamp.revision or ""))
    named = zip(_SET_BY_THE_STORE, values, strict=True)
    return {name: value for name, value in named if value != ""}


def _with_metadata(resource: Resource, values: Mapping[str, Any]) -> Resource:
    metadata = msgspec.structs.replace(
        resource.metadata,
        uid=values.get("uid", ""),
        creation_timestamp=values.get("creationTimestamp", ""),
        generation=values["generation"],
        resource_version=values.get("resourceVersion", ""),
    )
    return msgspec.structs.replace(resource, metadata=metadata)
