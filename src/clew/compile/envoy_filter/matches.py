"""Whether a patch is meant for a listener, filter chain, filter, route or cluster."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from clew._pb.envoy.config.listener.v3.listener_components_pb2 import FilterChain
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from clew.compile.envoy_filter.patches import Patch
from clew.model import names
from clew.model.envoy_filter import ClusterMatch, PatchContext, RouteAction
from clew.model.filter_names import canonical

# Their ports are those of traffic capture; the ports of services are in their filter chains.
_VIRTUAL = frozenset({names.VIRTUAL_INBOUND, names.VIRTUAL_OUTBOUND})


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What names alone do not tell about a proxy's resources.

    ``listen_ports``: where a router listens, or a proxy without capture, for a port that people
    name. ``inbound_hosts``: the services behind an inbound port.
    """

    router: bool = False
    listen_ports: Mapping[int, frozenset[int]] = field(default_factory=dict)
    inbound_hosts: Mapping[int, frozenset[str]] = field(default_factory=dict)

    def is_port(self, wanted: int | None, actual: int) -> bool:
        return not wanted or wanted == actual or actual in self.listen_ports.get(wanted, ())


def same_filter(wanted: str, name: str) -> bool:
    return wanted == name or canonical(wanted) == canonical(name)


def is_listener(patch: Patch, listener: Listener, where: Surroundings) -> bool:
    """Source: istio ``listenerMatch``."""
    match = patch.listener
    if match.name and match.name != listener.name:
        return False
    if listener.name in _VIRTUAL:
        return True
    return where.is_port(match.port_number, listener.address.socket_address.port_value)


def is_filter_chain(patch: Patch, listener: Listener, chain: FilterChain) -> bool:
    """Source: istio ``filterChainMatch``."""
    match, found = patch.listener, chain.filter_chain_match
    port = found.destination_port.value
    if listener.name in _VIRTUAL and match.port_number and match.port_number != port:
        return False
    wanted = match.filter_chain
    if wanted is None:
        return True
    protocols = wanted.application_protocols.split(",") if wanted.application_protocols else []
    return (
        (not wanted.name or wanted.name == chain.name)
        and (not wanted.sni or wanted.sni in found.server_names)
        and _is(wanted.transport_protocol, found.transport_protocol)
        and {each.strip() for each in protocols} <= set(found.application_protocols)
        and (not wanted.destination_port or wanted.destination_port == port)
        and _is(wanted.transport_socket, chain.transport_socket.name)
    )


def _is(wanted: str, actual: str) -> bool:
    return not wanted or wanted == actual


def network_filter_name(patch: Patch) -> str:
    """The network filter that a patch names, "" if any."""
    chain = patch.listener.filter_chain
    return chain.filter.name if chain is not None and chain.filter is not None else ""


def http_filter_name(patch: Patch) -> str:
    """The filter inside the HTTP connection manager that a patch names, "" if any."""
    chain = patch.listener.filter_chain
    named = chain.filter.sub_filter if chain is not None and chain.filter is not None else None
    return named.name if named is not None else ""


def is_route_configuration(
    patch: Patch, name: str, context: PatchContext, where: Surroundings
) -> bool:
    """Source: istio ``routeConfigurationMatch``."""
    match = patch.routes
    if match.name and match.name != name:
        return False
    if context is not PatchContext.GATEWAY:
        return not match.port_number or match.port_number == _sidecar_port(name)
    port, port_name, gateway = _gateway_route(name)
    return (
        where.is_port(match.port_number, port)
        and _is(match.port_name, port_name)
        and _is(match.gateway, gateway)
    )


def _sidecar_port(name: str) -> int:
    """``80``, ``host:80`` or ``inbound|80||`` → 80"""
    text = name.split("|")[1] if name.startswith("inbound|") else name.rpartition(":")[2]
    return int(text) if text.isdecimal() else 0


def _gateway_route(name: str) -> tuple[int, str, str]:
    """``https.443.web.shop.default`` → (443, "web", "default/shop"); ``http.80`` → (80, "", "")"""
    parts = name.split(".")
    port = int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else 0
    if parts[0] == "https" and len(parts) >= 5:
        return port, parts[2], f"{parts[4]}/{parts[3]}"
    return port, "", ""


def is_virtual_host(patch: Patch, host: VirtualHost) -> bool:
    match = patch.routes.vhost
    if match is None:
        return True
    named = _is(match.name, host.name)
    return named and (not match.domain_name or match.domain_name in host.domains)


def names_route(patch: Patch) -> bool:
    return patch.routes.vhost is not None and patch.routes.vhost.route is not None


def is_route(patch: Patch, route: Route) -> bool:
    vhost = patch.routes.vhost
    match = vhost.route if vhost is not None else None
    if match is None:
        return True
    if not _is(match.name, route.name):
        return False
    if match.action in (None, RouteAction.ANY):
        return True
    return bool(route.WhichOneof("action") == match.action.value.lower())


def is_cluster(match: ClusterMatch | None, name: str, where: Surroundings) -> bool:
    """Source: istio ``clusterMatch``: a name leaves nothing else to be asked."""
    if match is None:
        return True
    if match.name:
        return match.name == name
    port, subset, hosts = _cluster_parts(name, where)
    return (
        _is(match.subset, subset)
        and (not match.service or match.service in hosts)
        and (not match.port_number or match.port_number == port)
    )


def _cluster_parts(name: str, where: Surroundings) -> tuple[int, str, Collection[str]]:
    """The port, the subset and the services that a cluster is of."""
    parts = name.split("|")
    if len(parts) < 4 or not parts[1].isdecimal():
        return 0, "", ()
    port, inbound = int(parts[1]), parts[0] == "inbound"
    return port, parts[2], where.inbound_hosts.get(port, ()) if inbound else (parts[3],)
