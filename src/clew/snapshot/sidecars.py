"""Which Sidecar applies to a proxy, and what its egress lets through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from clew.model.base import age_order
from clew.model.mesh_config import MeshConfig, OutboundTrafficPolicyMode
from clew.model.service import Service
from clew.model.sidecar import IstioEgressListener, Sidecar
from clew.model.virtual_service import VirtualService
from clew.snapshot.hosts import covers, overlap
from clew.snapshot.labels import selects
from clew.snapshot.virtual_services import destinations

EVERYTHING = IstioEgressListener(hosts=("*/*",))


def sidecar_for(
    sidecars: Iterable[Sidecar], namespace: str, labels: Mapping[str, str], root_namespace: str
) -> Sidecar | None:
    """Return the namespace's Sidecar that selects the labels, else its general one, else the
    root namespace's general one; the oldest first. Nothing is merged.
    """
    ordered = sorted(sidecars, key=age_order)
    own = [s for s in ordered if s.metadata.namespace == namespace]
    for sidecar in own:
        selector = sidecar.spec.workload_selector
        if selector and selector.labels and selects(selector.labels, labels):
            return sidecar
    general = [s for s in own if not (s.spec.workload_selector and s.spec.workload_selector.labels)]
    roots = [
        s
        for s in ordered
        if s.metadata.namespace == root_namespace and not s.spec.workload_selector
    ]
    return next(iter([*general, *roots]), None)


def registry_only(sidecar: Sidecar | None, mesh: MeshConfig) -> bool:
    policy = sidecar.spec.outbound_traffic_policy if sidecar else None
    if policy is not None and policy.mode is not None:
        return policy.mode.value == OutboundTrafficPolicyMode.REGISTRY_ONLY.value
    of_mesh = mesh.outbound_traffic_policy
    return of_mesh is not None and of_mesh.mode is OutboundTrafficPolicyMode.REGISTRY_ONLY


def imported_virtual_services(
    listener: IstioEgressListener, virtual_services: Sequence[VirtualService], namespace: str
) -> tuple[VirtualService, ...]:
    return tuple(
        vs
        for vs in virtual_services
        if any(imports(listener, vs.metadata.namespace, host, namespace) for host in vs.spec.hosts)
    )


def imported_services(
    listener: IstioEgressListener,
    services: Sequence[Service],
    virtual_services: Sequence[VirtualService],
    namespace: str,
) -> tuple[Service, ...]:
    """Return what the listener imports, and what imported routes send to beyond that."""
    port = listener.port.number if listener.port else None
    routed = {host for vs in virtual_services for host in destinations(vs)}
    return tuple(
        s
        for s in services
        if s.hostname in routed
        or (
            imports(listener, s.namespace, s.hostname, namespace)
            and (not port or s.port(port) is not None)
        )
    )


def imports(listener: IstioEgressListener, namespace: str, host: str, own: str) -> bool:
    """Whether ``egress.hosts`` lets a host of ``namespace`` in; ``~ns/host`` takes it out again."""
    included = excluded = False
    for text in listener.hosts:
        where, _, pattern = text.rpartition("/")
        negated = where.startswith("~")
        where = where.removeprefix("~")
        if where not in ("*", own if where == "." else namespace):
            continue
        if where == "." and namespace != own:
            continue
        if negated:
            excluded = excluded or (where != "" and covers(pattern, host))
        else:
            included = included or overlap(pattern, host)
    return included and not excluded
