"""Cluster load assignments: the endpoints of a cluster, by locality, with health and weight."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from clew._pb.envoy.config.core.v3.address_pb2 import Address, Pipe, SocketAddress
from clew._pb.envoy.config.core.v3.base_pb2 import Locality as EnvoyLocality
from clew._pb.envoy.config.core.v3.base_pb2 import Metadata
from clew._pb.envoy.config.core.v3.health_check_pb2 import HealthStatus
from clew._pb.envoy.config.endpoint.v3.endpoint_components_pb2 import (
    LbEndpoint,
    LocalityLbEndpoints,
)
from clew._pb.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from clew.compile import wire
from clew.compile.locality import Client, Group, group_endpoints
from clew.compile.memo import Memo
from clew.compile.preference import preference
from clew.compile.resources import encode, resource_of, sources
from clew.compile.traffic_policy import Policy, policy_for
from clew.model import names
from clew.model.addresses import is_ip
from clew.model.destination_rule import DestinationRule
from clew.model.mesh_config import MeshConfig
from clew.model.metrics import CLUSTER, Peer
from clew.model.service import Endpoint, Health, Service, ServicePort, Workload
from clew.model.xds import EnvoyResource

_HEALTH = {
    Health.HEALTHY: HealthStatus.UNKNOWN,
    Health.UNHEALTHY: HealthStatus.UNHEALTHY,
    Health.DRAINING: HealthStatus.DRAINING,
}
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(\.{_OCTET}){{3}}")
_LB_ENDPOINTS = LocalityLbEndpoints.DESCRIPTOR.fields_by_name["lb_endpoints"].number
_ENDPOINTS = ClusterLoadAssignment.DESCRIPTOR.fields_by_name["endpoints"].number


def compile_assignment(  # noqa: PLR0913  (all that the endpoints of a cluster depend on)
    memo: Memo,
    service: Service,
    port: ServicePort,
    rule: DestinationRule | None,
    subset: str,
    endpoints: tuple[Endpoint, ...],
    client: Client,
    mesh: MeshConfig,
    name: str = "",
) -> EnvoyResource:
    """The endpoints of one cluster, which may be none; ``name``: the cluster's, if not the usual.

    ``endpoints`` are those of the port; a workload is described once for all that share it.
    Source: istio ``EndpointBuilder``.
    """
    name = name or names.outbound_cluster(port.number, service.hostname, subset)
    policy = policy_for(rule, port.number, subset, mesh)
    near = _of_node(endpoints, service, client)
    usable = [e for e in _serving(near, rule, subset, policy) if _has_address(e)]
    body = encode(ClusterLoadAssignment(cluster_name=name))
    for group in _groups(usable, client, policy, service, mesh):
        members = b"".join(_endpoint_field(memo, e) for e in group.endpoints)
        body += wire.field(_ENDPOINTS, encode(_locality(group)) + members)
    return resource_of(name, body, sources=sources(service, rule))


def built_in_assignment(
    service: Service,
    port: ServicePort,
    rule: DestinationRule | None,
    subset: str,
    endpoints: tuple[Endpoint, ...],
    client: Client,
    mesh: MeshConfig,
) -> ClusterLoadAssignment:
    """The same for a cluster that resolves its endpoints' names itself and has them built in."""
    policy = policy_for(rule, port.number, subset, mesh)
    assignment = ClusterLoadAssignment(
        cluster_name=names.outbound_cluster(port.number, service.hostname, subset)
    )
    usable = _serving(endpoints, rule, subset, policy)
    for group in _groups(usable, client, policy, service, mesh):
        locality = _locality(group)
        locality.lb_endpoints.extend(_lb_endpoint(e) for e in group.endpoints)
        assignment.endpoints.append(locality)
    return assignment


def workload_metadata(workload: Workload) -> str:
    """Who serves, as metrics and access logs read it from the endpoint."""
    who = Peer.of(workload.name, workload.namespace, dict(workload.labels), CLUSTER)
    return who.encode()


def _serving(
    endpoints: Sequence[Endpoint],
    rule: DestinationRule | None,
    subset: str,
    policy: Policy,
) -> list[Endpoint]:
    """Those of the subset, without the ones that are going away.

    Unhealthy ones are told to Envoy as such, since it counts them; but a minimum of health is
    about what Envoy itself has found out.
    """
    labels = _subset_labels(rule, subset)
    outlier = policy.outlier_detection
    only_healthy = outlier is not None and bool(outlier.min_health_percent)
    return [
        e
        for e in endpoints
        if e.health is not Health.DRAINING
        and not (only_healthy and e.health is Health.UNHEALTHY)
        and labels.items() <= dict(e.workload.labels).items()
    ]


def _of_node(endpoints: Sequence[Endpoint], service: Service, client: Client) -> Sequence[Endpoint]:
    """Without those on other nodes, where each is to serve its own clients only."""
    if not service.local_traffic_only:
        return endpoints
    return [e for e in endpoints if e.workload.node == client.node]


def _subset_labels(rule: DestinationRule | None, subset: str) -> Mapping[str, str]:
    declared = rule.spec.subsets if rule is not None and subset else ()
    return next((s.labels for s in declared if s.name == subset), {})


def _has_address(endpoint: Endpoint) -> bool:
    """Envoy refuses a whole assignment for one host name, which only DNS clusters may have."""
    # Nearly all are IPv4, and ``is_ip`` takes as long as compiling the endpoint.
    if _IPV4.fullmatch(endpoint.address) or endpoint.address.startswith("unix://"):
        return True
    return is_ip(endpoint.address)


def _groups(
    endpoints: Sequence[Endpoint],
    client: Client,
    policy: Policy,
    service: Service,
    mesh: MeshConfig,
) -> tuple[Group, ...]:
    return group_endpoints(
        endpoints,
        client,
        preference(policy.load_balancer, service.traffic_distribution, mesh),
        fails_over=policy.outlier_detection is not None,
    )


def _locality(group: Group) -> LocalityLbEndpoints:
    region, zone, subzone = group.locality
    locality = LocalityLbEndpoints(
        locality=EnvoyLocality(region=region, zone=zone, sub_zone=subzone),
        priority=group.priority,
    )
    locality.load_balancing_weight.value = group.weight
    return locality


def _endpoint_field(memo: Memo, endpoint: Endpoint) -> bytes:
    """Not remembered: it takes less than a look at what would be, and there are many."""
    metadata = memo.call(_workload_field, endpoint.workload, endpoint.mutual_tls)
    return wire.field(_LB_ENDPOINTS, encode(_place(endpoint)) + metadata)


def _workload_field(workload: Workload, mutual_tls: bool) -> bytes:
    """The part of an endpoint that all ports of its workload share."""
    return encode(LbEndpoint(metadata=_metadata(workload, mutual_tls)))


def _lb_endpoint(endpoint: Endpoint) -> LbEndpoint:
    compiled = _place(endpoint)
    compiled.metadata.CopyFrom(_metadata(endpoint.workload, endpoint.mutual_tls))
    return compiled


def _place(endpoint: Endpoint) -> LbEndpoint:
    """Where it is, how well, and how much it takes."""
    compiled = LbEndpoint(health_status=_HEALTH[endpoint.health])
    compiled.endpoint.address.CopyFrom(_address(endpoint.address, endpoint.port))
    for each in endpoint.more_addresses:
        more = compiled.endpoint.additional_addresses.add()
        more.address.CopyFrom(_address(each, endpoint.port))
    compiled.load_balancing_weight.value = max(endpoint.weight, 1)
    return compiled


def _metadata(workload: Workload, mutual_tls: bool) -> Metadata:
    metadata = Metadata()
    who = workload_metadata(workload)
    metadata.filter_metadata["istio"].fields["workload"].string_value = who
    if mutual_tls:
        match = metadata.filter_metadata["envoy.transport_socket_match"]
        match.fields["tlsMode"].string_value = "istio"
    return metadata


def _address(address: str, port: int) -> Address:
    if address.startswith("unix://"):
        return Address(pipe=Pipe(path=address.removeprefix("unix://")))
    return Address(socket_address=SocketAddress(address=address, port_value=port))
