"""The HTTP rules of a VirtualService as bytes of routes, remembered by what they depend on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from clew._pb.envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from clew.compile import wire
from clew.compile.destinations import destination_balancer, destination_cluster
from clew.compile.http_routes import Entrance, compile_http_routes
from clew.compile.memo import Memo
from clew.compile.resources import encode, sources
from clew.compile.route_match import is_catch_all
from clew.model.destination_rule import DestinationRule, LoadBalancerSettings
from clew.model.mesh_config import MeshConfig
from clew.model.service import Service
from clew.model.virtual_service import Destination, VirtualService
from clew.snapshot.virtual_services import destinations

_ROUTES = VirtualHost.DESCRIPTOR.fields_by_name["routes"].number


@dataclass(frozen=True, slots=True)
class Routes:
    """Compiled routes, ready to be part of a virtual host.

    ``catch_all`` is the one that takes everything: it comes last, also after other routes that
    join the virtual host.
    """

    body: bytes
    catch_all: bytes
    uses: frozenset[str]
    sources: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.body or self.catch_all)


@dataclass(frozen=True, slots=True)
class Client:
    """Whose routes they are: what conditions on the source of a request are compared with."""

    namespace: str
    labels: tuple[tuple[str, str], ...]
    services: Mapping[str, Service]
    destination_rules: Mapping[str, DestinationRule]
    mesh: MeshConfig


def rule_routes(  # where requests come in, who the client is
    rules: VirtualService, port: int, gateway: str, client: Client, memo: Memo, *, tls: bool
) -> Routes:
    """What ``rules`` say on a port of ``gateway`` ("mesh": of sidecars); maybe nothing.

    ``tls``: the port's listener ends it.
    """
    asked = memo.call(_questions, rules)
    dependencies: list[object] = []
    for host in asked.hosts:
        dependencies += (client.services.get(host), client.destination_rules.get(host))
    labels = client.labels if asked.labels else ()
    return memo.call(
        _compiled, rules, port, gateway, tls, client.namespace, labels, client.mesh, *dependencies
    )


def _compiled(  # its arguments are what the result is remembered by
    rules: VirtualService,
    port: int,
    gateway: str,
    tls: bool,
    namespace: str,
    labels: tuple[tuple[str, str], ...],
    mesh: MeshConfig,
    *dependencies: Service | DestinationRule | None,
) -> Routes:
    """``dependencies``: for each destination host its service and DestinationRule."""
    pairs = zip(dependencies[::2], dependencies[1::2], strict=True)
    known = dict(zip(_questions(rules).hosts, pairs, strict=True))
    services = {h: s for h, (s, _) in known.items() if isinstance(s, Service)}
    declared = {h: r for h, (_, r) in known.items() if isinstance(r, DestinationRule)}

    def cluster_of(destination: Destination) -> str:
        return destination_cluster(destination, services, port)

    def balancer_of(destination: Destination) -> LoadBalancerSettings | None:
        return destination_balancer(destination, cluster_of(destination), declared, mesh)

    entrance = Entrance(
        port=port, gateway=gateway, namespace=namespace, labels=dict(labels), tls=tls
    )
    routes = compile_http_routes(
        rules, entrance, cluster_of=cluster_of, mesh=mesh, balancer_of=balancer_of
    )
    return encoded_routes(routes, sources(rules))


def encoded_routes(routes: Iterable[Route], came_from: frozenset[str]) -> Routes:
    compiled = list(routes)
    parts = [wire.field(_ROUTES, encode(route)) for route in compiled]
    ends = bool(compiled) and is_catch_all(compiled[-1].match)
    return Routes(
        body=b"".join(parts[:-1] if ends else parts),
        catch_all=parts[-1] if ends else b"",
        uses=frozenset(name for route in compiled for name in route_uses(route)),
        sources=came_from,
    )


def route_uses(route: Route) -> Iterator[str]:
    """The clusters that a route sends or mirrors to."""
    if route.route.cluster:
        yield route.route.cluster
    yield from (each.name for each in route.route.weighted_clusters.clusters)
    yield from (policy.cluster for policy in route.route.request_mirror_policies)


@dataclass(frozen=True, slots=True)
class _Questions:
    """What a VirtualService's routes depend on besides it: the hosts that they may send to, sorted,
    and whether on the client's labels.
    """

    hosts: tuple[str, ...]
    labels: bool


def _questions(rules: VirtualService) -> _Questions:
    labels = any(match.source_labels for rule in rules.spec.http for match in rule.match)
    return _Questions(tuple(sorted(destinations(rules))), labels)
