"""A router's UDP: to which cluster the datagrams of a client go, and these clusters.

Source: Gateway API ``UDPRoute``, of which Istio makes nothing. What a client sends from one port
goes to one endpoint, until nothing more came for a while.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.core.v3.config_source_pb2 import (
    AggregatedConfigSource,
    ApiVersion,
    ConfigSource,
)
from clew._pb.envoy.config.listener.v3.listener_components_pb2 import ListenerFilter
from clew._pb.envoy.extensions.filters.udp.udp_proxy.v3.route_pb2 import Route
from clew._pb.envoy.extensions.filters.udp.udp_proxy.v3.udp_proxy_pb2 import UdpProxyConfig
from clew._pb.envoy.extensions.matching.common_inputs.network.v3.network_inputs_pb2 import (
    SourcePortInput,
)
from clew._pb.envoy.extensions.matching.input_matchers.runtime_fraction.v3 import (
    runtime_fraction_pb2 as fraction_pb2,
)
from clew._pb.envoy.type.v3.percent_pb2 import FractionalPercent
from clew._pb.xds.type.matcher.v3.matcher_pb2 import Matcher
from clew.compile.endpoint_facts import endpoints_of_port
from clew.compile.endpoints import compile_assignment
from clew.compile.gateway_connections import first_rule
from clew.compile.gateway_servers import merge_servers
from clew.compile.load_balancing import apply_load_balancer
from clew.compile.locality import Client
from clew.compile.memo import Memo
from clew.compile.resources import resource, sources
from clew.compile.traffic_policy import policy_for
from clew.compile.typed_config import typed_config
from clew.compile.upstreams import Upstreams
from clew.model import names
from clew.model.destination_rule import DestinationRule
from clew.model.mesh_config import MeshConfig
from clew.model.service import Endpoint, Locality, Protocol, Resolution, Service, ServicePort
from clew.model.virtual_service import RouteDestination
from clew.model.xds import EnvoyResource
from clew.snapshot.scope import GatewayScope, GatewayServer, OutboundScope

_MILLION = 1_000_000
# How a router finds the endpoints of these is by asking the control plane.
_TOLD = (Resolution.EDS, Resolution.PASSTHROUGH)


def compile_datagrams(server: GatewayServer) -> Iterator[ListenerFilter]:
    """The UDP proxy of the first rule that is meant for this server, if there is one."""
    for _, destinations in first_rule(server):
        shares = [d for d in destinations if d.weight] or [*destinations[:1]]
        proxy = UdpProxyConfig(
            stat_prefix=names.listener("0.0.0.0", server.listen_port), matcher=_choice(shares)
        )
        yield ListenerFilter(
            name="envoy.filters.udp_listener.udp_proxy", typed_config=typed_config(proxy)
        )


def _choice(shares: Sequence[RouteDestination]) -> Matcher:
    """Send sessions to one of the destinations by weight: by the ports that clients send from."""
    matcher = Matcher()
    rest = sum(each.weight or 1 for each in shares)
    for number, each in enumerate(shares[:-1]):
        weight = each.weight or 1
        chosen = matcher.matcher_list.matchers.add(on_match=_to(each))
        condition = chosen.predicate.single_predicate
        condition.input.name = "source_port"
        condition.input.typed_config.CopyFrom(typed_config(SourcePortInput()))
        condition.custom_match.name = "share"
        condition.custom_match.typed_config.CopyFrom(typed_config(_share(weight, rest, number)))
        rest -= weight
    matcher.on_no_match.CopyFrom(_to(shares[-1]))
    return matcher


def _share(weight: int, of: int, seed: int) -> fraction_pb2.RuntimeFraction:
    fraction = fraction_pb2.RuntimeFraction(seed=seed)
    fraction.runtime_fraction.default_value.CopyFrom(
        FractionalPercent(numerator=weight * _MILLION // of, denominator=FractionalPercent.MILLION)
    )
    return fraction


def _to(destination: RouteDestination) -> Matcher.OnMatch:
    action = Matcher.OnMatch()
    action.action.name = "route"
    action.action.typed_config.CopyFrom(typed_config(Route(cluster=_cluster_name(destination))))
    return action


def _cluster_name(destination: RouteDestination) -> str:
    target = _target(destination)
    return names.datagram_cluster(*target) if target else names.UNKNOWN_SERVICE


def _target(destination: RouteDestination) -> tuple[int, str] | None:
    """Port and host; None: a backend that cannot be used, whose datagrams go nowhere."""
    to = destination.destination
    number = to.port.number if to.port is not None else None
    return (number, to.host) if number and to.host else None


def compile_datagram_upstreams(
    scope: GatewayScope, outbound: OutboundScope, memo: Memo
) -> Iterator[tuple[str, Upstreams]]:
    """Yield the clusters and endpoints that a router's datagrams go to, by hostname."""
    targets = memo.call(_targets, scope)
    if not targets:
        return
    services = {s.hostname: s for s in outbound.services if s.hostname in targets}
    for host, service in services.items():
        if service.resolution not in _TOLD:
            continue
        for port in service.ports:
            if port.protocol is Protocol.UDP and port.number in targets[host]:
                yield (
                    host,
                    memo.call(
                        _upstream,
                        service,
                        port,
                        outbound.destination_rules.get(host),
                        outbound.endpoints.get(service.key, ()),
                        *outbound.locality,
                        outbound.network,
                        frozenset(outbound.labels),
                        outbound.node if service.by_node else "",
                        outbound.mesh,
                    ),
                )


def _targets(scope: GatewayScope) -> Mapping[str, frozenset[int]]:
    """The ports of each host that datagrams go to."""
    found: dict[str, frozenset[int]] = {}
    for merged in merge_servers(scope.servers):
        for server in merged.servers if merged.is_udp else ():
            for _, destinations in first_rule(server):
                for target in filter(None, map(_target, destinations)):
                    found[target[1]] = found.get(target[1], frozenset()) | {target[0]}
    return found


def _upstream(  # noqa: PLR0913  (the arguments are the key in the memo)
    service: Service,
    port: ServicePort,
    rule: DestinationRule | None,
    members: tuple[Endpoint, ...],
    region: str,
    zone: str,
    subzone: str,
    network: str,
    labels: frozenset[tuple[str, str]],
    node: str,
    mesh: MeshConfig,
) -> Upstreams:
    name = names.datagram_cluster(port.number, service.hostname)
    client = Client(Locality(region, zone, subzone), network, tuple(sorted(labels)), node)
    near = tuple(e for e in members if not network or e.workload.network in ("", network))
    endpoints = compile_assignment(
        service, port, rule, "", endpoints_of_port(near, port.name), client, mesh, name
    )
    return Upstreams((_cluster(name, service, port, rule, mesh),), (endpoints,))


def _cluster(
    name: str, service: Service, port: ServicePort, rule: DestinationRule | None, mesh: MeshConfig
) -> EnvoyResource:
    cluster = Cluster(name=name, alt_stat_name=f"{name};", type=Cluster.EDS)
    source = ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)
    cluster.eds_cluster_config.eds_config.CopyFrom(source)
    cluster.eds_cluster_config.service_name = name
    cluster.common_lb_config.healthy_panic_threshold.value = 0
    apply_load_balancer(cluster, policy_for(rule, port.number, "", mesh).load_balancer)
    return resource(name, cluster, sources=sources(service, rule))
