"""Cluster load assignments: the endpoints of a cluster, by locality, with health and weight."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from clew._pb.envoy.config.core.v3.address_pb2 import Address
from clew._pb.envoy.config.core.v3.base_pb2 import Locality as EnvoyLocality
from clew._pb.envoy.config.core.v3.health_check_pb2 import HealthStatus
from clew._pb.envoy.config.endpoint.v3.endpoint_components_pb2 import LbEndpoint
from clew._pb.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from clew.compile.locality import Client, Group, group_endpoints
from clew.compile.preference import preference
from clew.compile.resources import resource, sources
from clew.compile.traffic_policy import Policy, policy_for
from clew.compile.upstream_tls import PLAINTEXT, SOCKET_MATCH, TLS_MODE
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


def compile_assignment(  # noqa: PLR0913  (all that an assignment follows from)
    service: Service,
    port: ServicePort,
    rule: DestinationRule | None,
    subset: str,
    endpoints: tuple[Endpoint, ...],
    client: Client,
    mesh: MeshConfig,
    name: str = "",
    *,
    marks: bool = False,
) -> EnvoyResource:
    """The endpoints of one cluster, which may be none; ``name``: the cluster's, if not the usual.

    ``endpoints`` are those of the port; ``marks``: those in plaintext are marked for the cluster.
    Source: istio ``EndpointBuilder``.
    """
    name = name or names.outbound_cluster(port.number, service.hostname, subset)
    policy = policy_for(rule, port.number, subset, mesh)
    near = _of_node(endpoints, service, client)
    usable = [e for e in _serving(near, rule, subset, policy) if _has_address(e)]
    groups = _groups(usable, client, policy, service, mesh)
    assignment = _assignment(name, groups, marks=marks)
    return resource(name, assignment, sources=sources(service, rule))


def built_in_assignment(
    service: Service,
    port: ServicePort,
    rule: DestinationRule | None,
    subset: str,
    endpoints: tuple[Endpoint, ...],
    client: Client,
    mesh: MeshConfig,
    *,
    marks: bool = False,
) -> ClusterLoadAssignment:
    """The same for a cluster that resolves its endpoints' names itself and has them built in."""
    policy = policy_for(rule, port.number, subset, mesh)
    usable = _serving(endpoints, rule, subset, policy)
    name = names.outbound_cluster(port.number, service.hostname, subset)
    groups = _groups(usable, client, policy, service, mesh)
    return _assignment(name, groups, marks=marks)


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
        and (not labels or labels.items() <= dict(e.workload.labels).items())
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


def _assignment(name: str, groups: Iterable[Group], *, marks: bool) -> ClusterLoadAssignment:
    """Filled in place: there are many endpoints, and a message copied into another would cost as
    much as all the rest. ``marks``: those in plaintext are marked, see ``upstream_tls``.
    """
    assignment = ClusterLoadAssignment(cluster_name=name)
    for group in groups:
        region, zone, subzone = group.locality
        found = assignment.endpoints.add(priority=group.priority)
        found.locality.CopyFrom(EnvoyLocality(region=region, zone=zone, sub_zone=subzone))
        found.load_balancing_weight.value = group.weight
        for endpoint in group.endpoints:
            compiled = found.lb_endpoints.add(health_status=_HEALTH[endpoint.health])
            _fill(compiled, endpoint)
            if marks and not endpoint.mutual_tls:
                mark = compiled.metadata.filter_metadata[SOCKET_MATCH]
                mark.fields[TLS_MODE].string_value = PLAINTEXT
    return assignment


def _fill(compiled: LbEndpoint, endpoint: Endpoint) -> None:
    """Where it is, how much it takes, and who serves there."""
    _set_address(compiled.endpoint.address, endpoint.address, endpoint.port)
    for each in endpoint.more_addresses:
        more = compiled.endpoint.additional_addresses.add()
        _set_address(more.address, each, endpoint.port)
    compiled.load_balancing_weight.value = max(endpoint.weight, 1)
    facts = compiled.metadata.filter_metadata["istio"].fields
    facts["workload"].string_value = workload_metadata(endpoint.workload)


def _set_address(target: Address, address: str, port: int) -> None:
    if address.startswith("unix://"):
        target.pipe.path = address.removeprefix("unix://")
    else:
        target.socket_address.address = address
        target.socket_address.port_value = port
