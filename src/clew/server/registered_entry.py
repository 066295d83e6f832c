"""What becomes of the WorkloadEntry of a proxy that joins a WorkloadGroup: pure decisions.

Manifests go in and out, so that what a user added to an entry stays in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from clew.model.proxy import Proxy
from clew.model.spiffe import Identity
from clew.model.workload_entry import (
    AUTO_REGISTRATION_GROUP,
    CONNECTED_AT,
    DISCONNECTED_AT,
    HEALTH_CHECKS_ENABLED,
    HEALTHY,
    WORKLOAD_CONTROLLER,
    WorkloadEntry,
)
from clew.model.workload_group import GroupMetadata, WorkloadGroup

Manifest = Mapping[str, Any]

_LONGEST_NAME = 253
# A locality has "/", which no label of Kubernetes may have; the entry has a field for it.
_LOCALITY_LABEL = "istio-locality"


def entry_name(proxy: Proxy) -> str:
    """``reviews-10.0.0.7``, and the network if it has one.

    Source: istio ``autoregisteredWorkloadEntryName``.
    """
    parts = (proxy.auto_register_group, proxy.ip.replace(":", "-"), proxy.network)
    return "-".join(part for part in parts if part)[-_LONGEST_NAME:]


def entry_of_group(proxy: Proxy, group: WorkloadGroup) -> Manifest:
    """Return the entry of a proxy that joins: the group's template, and what the proxy knows.

    The proxy's labels come before those of the group's metadata, those before the template's.

    Source: istio ``workloadEntryFromGroup``.
    """
    metadata = group.spec.metadata or GroupMetadata()
    own = {key: value for key, value in proxy.labels if key != _LOCALITY_LABEL}
    labels = {**group.spec.template.labels, **metadata.labels, **own}
    spec = msgspec.to_builtins(group.spec.template)
    spec |= {"address": proxy.ip, "labels": labels}
    known = {"network": proxy.network, "locality": _locality(proxy)}
    spec |= {key: value for key, value in known.items() if value}
    annotations = {AUTO_REGISTRATION_GROUP: group.metadata.name, **metadata.annotations}
    if proxy.health_checked:
        annotations[HEALTH_CHECKS_ENABLED] = "true"
    return {
        "apiVersion": group.api_version,
        "kind": "WorkloadEntry",
        "metadata": {
            "name": entry_name(proxy),
            "namespace": proxy.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [_owner(group)],
        },
        "spec": {key: value for key, value in spec.items() if value not in (None, "", {})},
    }


def _locality(proxy: Proxy) -> str:
    place = proxy.locality
    return "/".join((place.region, place.zone, place.subzone)).rstrip("/")


def _owner(group: WorkloadGroup) -> Manifest:
    return {
        "apiVersion": group.api_version,
        "kind": group.kind,
        "name": group.metadata.name,
        "uid": group.metadata.uid,
        "controller": True,
    }


def control_refusal(identity: Identity | None, entry: WorkloadEntry) -> str:
    """Return "" if the workload may stand behind the entry, else why not.

    Source: istio ``ensureProxyCanControlEntry``.
    """
    if identity is None:
        return f"{entry.key} needs a proven identity"
    if identity.namespace != entry.metadata.namespace:
        return f"{entry.key} is of another namespace than {identity}"
    wanted = entry.spec.service_account
    if wanted and identity.service_account != wanted:
        return f"{entry.key} is of the service account {wanted}, the certificate of {identity}"
    return ""


def with_connection(manifest: Manifest, controller: str, at: datetime) -> Manifest | None:
    """Return the entry as connected, or None if a later connection or end is in it already."""
    annotations = _annotations(manifest)
    if any(at < _time(annotations, name) for name in (CONNECTED_AT, DISCONNECTED_AT)):
        return None
    annotations.pop(DISCONNECTED_AT, None)
    annotations |= {WORKLOAD_CONTROLLER: controller, CONNECTED_AT: _text(at)}
    return _with_annotations(manifest, annotations)


def without_connection(manifest: Manifest, controller: str, at: datetime) -> Manifest | None:
    """Return the entry as disconnected, or None if its proxy is connected anew or elsewhere."""
    annotations = _annotations(manifest)
    elsewhere = annotations.get(WORKLOAD_CONTROLLER) != controller
    if elsewhere or CONNECTED_AT not in annotations or _time(annotations, CONNECTED_AT) > at:
        return None
    del annotations[CONNECTED_AT]
    annotations[DISCONNECTED_AT] = _text(at)
    return _with_annotations(manifest, annotations)


def is_auto_registered(entry: WorkloadEntry) -> bool:
    return bool(entry.metadata.annotations.get(AUTO_REGISTRATION_GROUP))


def is_connected_to(entry: WorkloadEntry, controller: str) -> bool:
    """Whether it says that its proxy is connected to this control plane."""
    annotations = entry.metadata.annotations
    return annotations.get(WORKLOAD_CONTROLLER) == controller and CONNECTED_AT in annotations


def is_abandoned(entry: WorkloadEntry, now: datetime, grace: timedelta) -> bool:
    """Whether its proxy has been away for longer than the grace period."""
    annotations = entry.metadata.annotations
    if CONNECTED_AT in annotations or DISCONNECTED_AT not in annotations:
        return False
    return now - _time(annotations, DISCONNECTED_AT) >= grace


def with_health(manifest: Manifest, problem: str | None, at: datetime) -> Manifest:
    """Return the entry with what its proxy reports; ``problem`` None: it is healthy."""
    now = _text(at)
    status = "True" if problem is None else "False"
    before = next((c for c in _conditions(manifest) if c.get("type") == HEALTHY), {})
    since = before.get("lastTransitionTime") if before.get("status") == status else None
    condition = {
        "type": HEALTHY,
        "status": status,
        "lastProbeTime": now,
        "lastTransitionTime": since or now,
    }
    if problem:
        condition["message"] = problem
    return _with_conditions(manifest, [*_others(manifest), condition])


def without_health(manifest: Manifest) -> Manifest | None:
    """Return the entry without a report of its health; None if it has none."""
    others = _others(manifest)
    return None if others == _conditions(manifest) else _with_conditions(manifest, others)


def _conditions(manifest: Manifest) -> list[dict[str, Any]]:
    return list((manifest.get("status") or {}).get("conditions", ()))


def _others(manifest: Manifest) -> list[dict[str, Any]]:
    return [c for c in _conditions(manifest) if c.get("type") != HEALTHY]


def _with_conditions(manifest: Manifest, conditions: list[dict[str, Any]]) -> Manifest:
    return {**manifest, "status": {**(manifest.get("status") or {}), "conditions": conditions}}


def _annotations(manifest: Manifest) -> dict[str, str]:
    return dict(manifest["metadata"].get("annotations") or {})


def _with_annotations(manifest: Manifest, annotations: Mapping[str, str]) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": dict(annotations)}}


_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def _time(annotations: Mapping[str, str], name: str) -> datetime:
    """The moment that an annotation names; long ago if it names none."""
    try:
        found = datetime.fromisoformat(annotations.get(name, ""))
    except ValueError:
        return _LONG_AGO
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
