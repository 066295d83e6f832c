"""What the mesh as a whole says of single objects: the one list of such findings.

They are worked out when somebody asks for an object's status, never while changes are published.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from clew.model.base import ResourceKey
from clew.model.diagnostic import Diagnostic
from clew.model.status import Statuses
from clew.snapshot.conflicts import (
    entries_of_others,
    hosts_of_others,
    policies_of_others,
    policies_of_whole_namespaces,
    sidecars_of_others,
)
from clew.snapshot.gateway_api.statuses import statuses_of
from clew.snapshot.ingress_classes import ingress_statuses
from clew.snapshot.issuers import issuers_without_keys
from clew.snapshot.policy_references import policies_for_nobody
from clew.snapshot.references import (
    hosts_outside_gateways,
    ports_without_proxy,
    unknown_delegates,
    unknown_destinations,
    unknown_gateways,
    unknown_rule_hosts,
)
from clew.snapshot.snapshot import MeshSnapshot
from clew.snapshot.telemetry_findings import telemetry_without_effect


def gateway_api_statuses(snapshot: MeshSnapshot) -> Statuses:
    """Return the status of each object of the Gateway API that is ours."""
    return statuses_of(snapshot.gateway_api, snapshot.objects)


def allocated_addresses(snapshot: MeshSnapshot) -> Statuses:
    """Return the status of each ServiceEntry that was given addresses of its hosts."""
    found: dict[ResourceKey, list[dict[str, str]]] = {}
    for service in snapshot.services.ordered:
        entry = snapshot.registry.entries.get(service.source)
        if entry is not None and not entry.spec.addresses:
            given = [{"value": each, "host": service.hostname} for each in service.addresses]
            found.setdefault(service.source, []).extend(given)
    return {key: {"addresses": addresses} for key, addresses in found.items() if addresses}


def published_ingresses(snapshot: MeshSnapshot) -> Statuses:
    """Return the status of each Ingress that is in force: its address."""
    return ingress_statuses(snapshot.objects, snapshot.mesh)


# Each looks at the whole mesh; a diagnostic's ``place.resource`` is the object that it is about.
FINDINGS: tuple[Callable[[MeshSnapshot], Iterable[Diagnostic]], ...] = (
    telemetry_without_effect,
    unknown_gateways,
    hosts_outside_gateways,
    unknown_delegates,
    unknown_destinations,
    unknown_rule_hosts,
    ports_without_proxy,
    policies_for_nobody,
    hosts_of_others,
    policies_of_others,
    entries_of_others,
    sidecars_of_others,
    policies_of_whole_namespaces,
    issuers_without_keys,
)

# Kinds that define a status of their own. The conditions of being in force are added to it.
STATUSES: tuple[Callable[[MeshSnapshot], Statuses], ...] = (
    gateway_api_statuses,
    allocated_addresses,
    published_ingresses,
)


def mesh_findings(snapshot: MeshSnapshot) -> dict[ResourceKey, tuple[Diagnostic, ...]]:
    """Return what there is to say of each object, in the order of ``FINDINGS``."""
    found: dict[ResourceKey, tuple[Diagnostic, ...]] = {}
    for diagnostic in chain.from_iterable(find(snapshot) for find in FINDINGS):
        if (key := diagnostic.place.resource) is not None:
            found[key] = (*found.get(key, ()), diagnostic)
    return found


def own_statuses(snapshot: MeshSnapshot) -> dict[ResourceKey, dict[str, Any]]:
    """Return the status of each object whose kind defines one."""
    return {key: dict(status) for find in STATUSES for key, status in find(snapshot).items()}
