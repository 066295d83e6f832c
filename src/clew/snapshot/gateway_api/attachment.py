"""To what a route is attached: which of its parents take it, and why others do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from clew.model.gateway_api.grpc_route import GRPCRoute
from clew.model.gateway_api.http_route import KubernetesHTTPRoute
from clew.model.gateway_api.references import GATEWAY_GROUP, ParentReference
from clew.model.gateway_api.tcp_route import KubernetesTCPRoute
from clew.model.gateway_api.tls_route import KubernetesTLSRoute
from clew.model.gateway_api.udp_route import UDPRoute
from clew.model.service_entry import ServiceEntry
from clew.snapshot.gateway_api.conditions import Problem
from clew.snapshot.gateway_api.gateways import BoundGateway, listener_gateway
from clew.snapshot.gateway_api.listeners import Listening
from clew.snapshot.gateway_api.sources import Sources
from clew.snapshot.hosts import overlap
from clew.snapshot.services import kubernetes_key
from clew.snapshot.virtual_services import MESH

Route = KubernetesHTTPRoute | GRPCRoute | KubernetesTLSRoute | KubernetesTCPRoute | UDPRoute

ROUTE_TYPES = (KubernetesHTTPRoute, GRPCRoute, KubernetesTLSRoute, KubernetesTCPRoute, UDPRoute)
_ISTIO_GROUP = "networking.istio.io"
# Of several listeners that refuse a route, the first of these reasons is told.
_TELLING = ("NotAllowedByListeners", "NoMatchingListenerHostname", "NoMatchingParent")


class ParentKey(NamedTuple):
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """One listener, or the mesh, as a parent of a route. ``problem``: why it does not take it.

    ``gateway`` is the Istio Gateway of the listener, or ``mesh``; ``hosts`` are those of the mesh
    that the route is for. ``port`` is None if it is for all. Requests for the hosts in ``taken``
    come to other listeners of the Gateway.
    """

    reference: ParentReference
    gateway: str
    hosts: tuple[str, ...] = ()
    port: int | None = None
    listening: Listening | None = None
    taken: frozenset[str] = frozenset()
    problem: Problem | None = None

    @property
    def is_mesh(self) -> bool:
        return self.listening is None


Parents = Mapping[ParentKey, Sequence[Listening]]


def index_parents(bound: Iterable[BoundGateway]) -> Parents:
    """Return the listeners that routes may attach to, by whose they are."""
    parents: dict[ParentKey, list[Listening]] = {}
    for each in bound:
        if not each.kind.routed:
            continue
        for listening in each.every_listener:
            meta = listening.owner.metadata
            key = ParentKey(listening.owner.kind, meta.namespace, meta.name)
            parents.setdefault(key, []).append(listening)
    return parents


def hostnames_of(route: Route) -> tuple[str, ...]:
    return () if isinstance(route, KubernetesTCPRoute | UDPRoute) else route.spec.hostnames


def attach(route: Route, parents: Parents, sources: Sources) -> tuple[Attachment, ...]:
    """Return each parent of ours that a route names. Others are other controllers' business."""
    found: list[Attachment] = []
    for reference in route.spec.parent_refs:
        match reference.group, reference.kind:
            case ("", "Service") | (_, "ServiceEntry") if isinstance(route, UDPRoute):
                problem = Problem("NoMatchingParent", "sidecars do not see UDP: only Gateways do")
                found.append(Attachment(reference=reference, gateway=MESH, problem=problem))
            case ("", "Service"):
                found.append(_to_service(route, reference, sources))
            case (group, "ServiceEntry") if group == _ISTIO_GROUP:
                found.append(_to_entry(route, reference, sources))
            case (group, "Gateway" | "ListenerSet") if group == GATEWAY_GROUP:
                found += _to_listeners(route, reference, parents)
            case _:
                continue
    return tuple(found)


def _to_service(route: Route, reference: ParentReference, sources: Sources) -> Attachment:
    namespace = reference.namespace or route.metadata.namespace
    host = kubernetes_key(reference.name, namespace).hostname
    problem = None
    if not sources.services.by_host.get(host):
        text = f'parent service: "{reference.name}" not found'
        problem = Problem("NoMatchingParent", text)
    return Attachment(
        reference=reference, gateway=MESH, hosts=(host,), port=reference.port, problem=problem
    )


def _to_entry(route: Route, reference: ParentReference, sources: Sources) -> Attachment:
    namespace = reference.namespace or route.metadata.namespace
    entry = sources.objects.get(ServiceEntry, {}).get(namespace, {}).get(reference.name)
    if isinstance(entry, ServiceEntry):
        hosts = tuple(entry.spec.hosts)
        return Attachment(reference=reference, gateway=MESH, hosts=hosts, port=reference.port)
    text = f'parent service entry: "{reference.name}" not found'
    problem = Problem("NoMatchingParent", text)
    return Attachment(reference=reference, gateway=MESH, problem=problem)


def _to_listeners(
    route: Route, reference: ParentReference, parents: Parents
) -> Iterator[Attachment]:
    namespace = reference.namespace or route.metadata.namespace
    siblings = parents.get(ParentKey(reference.kind, namespace, reference.name), ())
    for listening in siblings:
        gateway = listener_gateway(reference.name, listening.listener.name)
        yield Attachment(
            reference=reference,
            gateway=f"{namespace}/{gateway}",
            listening=listening,
            taken=_taken_by_others(listening, siblings),
            problem=_refusal(route, reference, listening),
        )


def _taken_by_others(listening: Listening, siblings: Sequence[Listening]) -> frozenset[str]:
    """Source: istio's ``BannedHostnames``, for the Gateway API's isolation of listeners."""
    mine = listening.listener
    others = (
        each.listener.hostname or ""
        for each in siblings
        if each is not listening
        and (each.listener.port, each.listener.protocol) == (mine.port, mine.protocol)
    )
    return frozenset(others) - {mine.hostname or ""}


def _refusal(route: Route, reference: ParentReference, listening: Listening) -> Problem | None:
    """Return why a listener does not take a route. Source: istio ``referenceAllowed``."""
    listener = listening.listener
    if reference.port is not None and reference.port != listener.port:
        return Problem("NoMatchingParent", f"port {reference.port} not found")
    if reference.section_name and reference.section_name != listener.name:
        return Problem("NoMatchingParent", f'sectionName "{reference.section_name}" not found')
    if listening.conflict:
        text = f'listener "{listener.name}" gives way to another one'
        return Problem("NotAllowedByListeners", text)
    refused = _host_refusal(route, listening)
    if refused is None and all(kind.kind != route.kind for kind in listening.kinds):
        return Problem("NotAllowedByListeners", f"kind {route.kind} is not allowed")
    return refused


def _host_refusal(route: Route, listening: Listening) -> Problem | None:
    wanted = hostnames_of(route) or ("*",)
    namespace, host = route.metadata.namespace, listening.listener.hostname or "*"
    if not any(overlap(host.lower(), each.lower()) for each in wanted):
        return Problem(
            "NoMatchingListenerHostname", f'no hostnames matched parent hostname "{host}"'
        )
    allowed = {each.partition("/")[0] for each in listening.hosts}
    if allowed.isdisjoint(("*", namespace)):
        return Problem(
            "NotAllowedByListeners",
            f'hostnames matched parent hostname "{host}", but namespace "{namespace}" is not '
            "allowed by the parent",
        )
    return None


def verdicts(
    attachments: Iterable[Attachment],
) -> list[tuple[ParentReference, int, Problem | None]]:
    """Return of each parent reference how many listeners take the route, and if none, why."""
    by_reference: dict[ParentReference, list[Attachment]] = {}
    for each in attachments:
        by_reference.setdefault(each.reference, []).append(each)
    found = []
    for reference, group in by_reference.items():
        problems = [each.problem for each in group if each.problem is not None]
        taken = len(group) - len(problems)
        problems.sort(key=lambda problem: _TELLING.index(problem.reason))
        found.append((reference, taken, None if taken else problems[0]))
    return found
