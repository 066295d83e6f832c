"""Which Sidecar applies to a proxy, and what its egress lets through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain

import msgspec

from clew.model.base import age_order
from clew.model.mesh_config import MeshConfig, OutboundTrafficPolicyMode
from clew.model.names import short_to_fqdn
from clew.model.service import Service
from clew.model.sidecar import IstioEgressListener, Sidecar
from clew.model.sidecar import OutboundTrafficPolicyMode as SidecarPolicyMode
from clew.model.virtual_service import Destination, VirtualService
from clew.snapshot.export import visible
from clew.snapshot.hosts import covers, overlap
from clew.snapshot.labels import selects
from clew.snapshot.rule_index import VirtualServices
from clew.snapshot.service_index import Services, best_by_host
from clew.snapshot.services import DOMAIN, service_age
from clew.snapshot.virtual_services import destinations

EVERYTHING = IstioEgressListener(hosts=("*/*",))


def index_sidecars(sidecars: Iterable[Sidecar]) -> dict[str, tuple[Sidecar, ...]]:
    """Return the Sidecars of each namespace, the oldest first."""
    found: dict[str, tuple[Sidecar, ...]] = {}
    for sidecar in sorted(sidecars, key=age_order):
        namespace = sidecar.metadata.namespace
        found[namespace] = (*found.get(namespace, ()), sidecar)
    return found


def sidecar_for(
    sidecars: Mapping[str, Sequence[Sidecar]],
    namespace: str,
    labels: Mapping[str, str],
    root_namespace: str,
) -> Sidecar | None:
    """Return the namespace's Sidecar that selects the labels, else its general one, else the
    root namespace's general one; the oldest first. Nothing is merged.
    """
    own = sidecars.get(namespace, ())
    for sidecar in own:
        if (wanted := _selector(sidecar)) and selects(wanted, labels):
            return sidecar
    general = (s for s in own if not _selector(s))
    roots = (s for s in sidecars.get(root_namespace, ()) if not s.spec.workload_selector)
    return next(chain(general, roots), None)


def _selector(sidecar: Sidecar) -> Mapping[str, str]:
    selector = sidecar.spec.workload_selector
    return selector.labels if selector else {}


def outbound_policy(
    sidecars: Mapping[str, Sequence[Sidecar]], sidecar: Sidecar | None, mesh: MeshConfig
) -> tuple[bool, Destination | None]:
    """Return whether unknown hosts are blocked, and the egress proxy that takes their traffic.

    The proxy's own Sidecar decides, else the root namespace's, else the mesh. A Sidecar's policy
    without a mode is REGISTRY_ONLY.
    """
    root = sidecar_for(sidecars, mesh.root_namespace, {}, mesh.root_namespace)
    for each in (sidecar, root) if sidecar else ():
        policy = each.spec.outbound_traffic_policy if each else None
        if each and policy:
            passes = policy.mode is SidecarPolicyMode.ALLOW_ANY
            return not passes, _full_name(policy.egress_proxy, each) if passes else None
    of_mesh = mesh.outbound_traffic_policy
    return of_mesh is not None and of_mesh.mode is OutboundTrafficPolicyMode.REGISTRY_ONLY, None


def _full_name(destination: Destination | None, sidecar: Sidecar) -> Destination | None:
    if destination is None:
        return None
    host = short_to_fqdn(destination.host, sidecar.metadata.namespace, DOMAIN)
    return msgspec.structs.replace(destination, host=host)


def imported_virtual_services(
    listener: IstioEgressListener, rules: VirtualServices, namespace: str
) -> tuple[VirtualService, ...]:
    """Return the rules of which the listener imports a host, in lookup order."""
    owners = _owners(listener, namespace)
    seen = rules.seen_by(namespace) if owners is None else rules.seen_among(namespace, owners)
    return tuple(vs for vs in seen if imports_rule(listener, vs, namespace))


def imported_services(
    listener: IstioEgressListener,
    services: Services,
    rules: Sequence[VirtualService],
    namespace: str,
) -> tuple[Service, ...]:
    """Return what the listener imports, and what imported rules send to beyond that."""
    if listener == EVERYTHING:
        return services.seen_by(namespace)
    port = listener.port.number if listener.port else None
    imported = [
        service
        for service in _candidates(listener, services, namespace)
        if visible(service.export_to, namespace)
        and imports(listener, service.namespace, service.hostname, namespace)
        and (not port or service.port(port) is not None)
    ]
    best = best_by_host(imported, namespace)
    for host in sorted({host for vs in rules for host in destinations(vs)} - best.keys()):
        if (service := services.at(host, namespace)) is not None:
            best[host] = service
    return tuple(sorted(best.values(), key=service_age))


def _candidates(
    listener: IstioEgressListener, services: Services, namespace: str
) -> Iterable[Service]:
    owners = _owners(listener, namespace)
    if owners is None:
        return services.ordered
    return [service for owner in owners for service in services.by_namespace.get(owner, ())]


def _owners(listener: IstioEgressListener, namespace: str) -> list[str] | None:
    """Return the namespaces that the listener imports from; None: any."""
    named = {text.rpartition("/")[0] for text in listener.hosts}
    if "*" in named:
        return None
    return sorted(namespace if n == "." else n for n in named if not n.startswith("~"))


def imports_rule(listener: IstioEgressListener, rule: VirtualService, own: str) -> bool:
    return any(imports(listener, rule.metadata.namespace, host, own) for host in rule.spec.hosts)


def imports(listener: IstioEgressListener, namespace: str, host: str, own: str) -> bool:
    """Whether ``egress.hosts`` lets a host of ``namespace`` in; ``~ns/host`` takes it out again."""
    included = excluded = False
    for pattern, negated in _patterns(listener.hosts, namespace, own):
        if negated:
            excluded = excluded or covers(pattern, host)
        else:
            included = included or overlap(pattern, host)
    return included and not excluded


@lru_cache(maxsize=4096)
def _patterns(hosts: tuple[str, ...], namespace: str, own: str) -> tuple[tuple[str, bool], ...]:
    """Those of ``hosts`` that speak of ``namespace``, and whether they take out what they match.

    Remembered, since each change asks for thousands of hosts of few namespaces.
    """
    found = []
    for text in hosts:
        where, _, pattern = text.rpartition("/")
        named = where.removeprefix("~")
        if (own if named == "." else named) in ("*", namespace):
            found.append((pattern, where.startswith("~")))
    return tuple(found)
