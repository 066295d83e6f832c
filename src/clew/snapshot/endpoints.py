"""Where each service is served: from EndpointSlices, Endpoints, Pods and WorkloadEntries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import msgspec

from clew.model.addresses import is_ip
from clew.model.service import (
    Endpoint,
    Health,
    Resolution,
    Service,
    Workload,
)
from clew.model.service_entry import ServiceEntry
from clew.model.workload_entry import WorkloadEntrySpec
from clew.snapshot.networks import Networks
from clew.snapshot.peer_authentication import Authentication, Modes
from clew.snapshot.places import Places
from clew.snapshot.pod_endpoints import Nodes, of_endpoints, of_slice, selected_pods
from clew.snapshot.scope import MutualTls
from clew.snapshot.workload_entry_endpoints import of_entry, selected_entries


def kubernetes_endpoints(service: Service, places: Places, nodes: Nodes) -> tuple[Endpoint, ...]:
    """Return the endpoints of a Kubernetes Service.

    Slices (or Endpoints) are what a cluster's controllers have found; without any, the selector
    is applied to Pods. WorkloadEntries are always selected by labels, if their address is an IP.
    Source: istio ``workloadInstanceHandler`` of the Kubernetes registry.
    """
    found: list[Endpoint] = []
    if service.name in places.slices:
        slices = places.slices_of(service.name)
        found += _once(e for s in slices for e in of_slice(s, service, places, nodes))
    elif service.name in places.endpoints:
        found += of_endpoints(places.endpoints[service.name], service, places, nodes)
    elif service.selector:
        found += selected_pods(service, places, nodes)
    if service.selector:
        entries = selected_entries(service, places)
        # One in another network may have no address: it is reached through a gateway.
        found += (e for e in entries if not e.address or is_ip(e.address))
    return tuple(found)


def _once(endpoints: Iterable[Endpoint]) -> Iterator[Endpoint]:
    """Yield endpoints but those of a pod that the slices of its other address have had already."""
    known: set[tuple[str, int, str]] = set()
    for endpoint in endpoints:
        if (endpoint.address, endpoint.port, endpoint.port_name) not in known:
            known.update((a, endpoint.port, endpoint.port_name) for a in endpoint.more_addresses)
            yield endpoint


def entry_endpoints(
    entry: ServiceEntry, service: Service, places: Places, nodes: Nodes
) -> tuple[Endpoint, ...]:
    """Return the endpoints of one host of a ServiceEntry; a DNS host without any is its own.

    A service of several entries has from each only endpoints of the ports that this declares.
    """
    if service.also:
        numbers = {port.number for port in entry.spec.ports}
        ports = tuple(port for port in service.ports if port.number in numbers)
        service = replace(service, ports=ports)
    if service.selector is not None:
        pods = selected_pods(service, places, nodes) if service.selector else ()
        return (*pods, *selected_entries(service, places))
    declared = entry.spec.endpoints
    if not declared and service.resolution in (Resolution.DNS, Resolution.DNS_ROUND_ROBIN):
        declared = (WorkloadEntrySpec(address=service.hostname),)
    return tuple(
        endpoint
        for spec in declared
        for endpoint in of_entry(spec, spec.labels, service, entry.metadata.name, Health.HEALTHY)
    )


def in_networks(endpoints: tuple[Endpoint, ...], networks: Networks) -> tuple[Endpoint, ...]:
    """Return the endpoints, those of which the network is not known by the mesh's word for it."""
    if not networks.places:
        return endpoints
    return tuple(e if e.workload.network else _in_network(e, networks) for e in endpoints)


def _in_network(endpoint: Endpoint, networks: Networks) -> Endpoint:
    network = networks.of(endpoint.address, {})
    workload = msgspec.structs.replace(endpoint.workload, network=network)
    return msgspec.structs.replace(endpoint, workload=workload)


def without_refused_mtls(
    endpoints: tuple[Endpoint, ...], authentication: Authentication
) -> tuple[Endpoint, ...]:
    """Return the endpoints, of which those do not take mTLS where a policy switches it off.

    Source: istio ``mtlsChecker`` in ``endpoint_builder.go``.
    """
    if not authentication.policies:
        return endpoints
    modes: dict[Workload, Modes] = {}
    found = []
    for endpoint in endpoints:
        workload = endpoint.workload
        if endpoint.mutual_tls and workload not in modes:
            labels = dict(workload.labels)
            modes[workload] = authentication.of_workload(workload.namespace, labels)
        refused = endpoint.mutual_tls and _mode(endpoint, modes) is MutualTls.DISABLE
        found.append(msgspec.structs.replace(endpoint, mutual_tls=False) if refused else endpoint)
    return tuple(found)


def _mode(endpoint: Endpoint, modes: Mapping[Workload, Modes]) -> MutualTls:
    mode, exceptions = modes[endpoint.workload]
    return exceptions.get(endpoint.port, mode)
