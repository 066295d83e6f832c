"""Where each service is served: from EndpointSlices, Endpoints, Pods and WorkloadEntries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import msgspec

from clew.model.addresses import is_ip
from clew.model.endpoint_slice import EndpointSlice
from clew.model.endpoints import Endpoints
from clew.model.node import Node
from clew.model.pod import Pod
from clew.model.service import (
    Endpoint,
    Health,
    Locality,
    Resolution,
    Service,
    ServicePort,
    Workload,
)
from clew.model.service_entry import ServiceEntry
from clew.model.workload_entry import HEALTHY, WorkloadEntry, WorkloadEntrySpec
from clew.snapshot.labels import (
    NETWORK,
    TLS_MODE,
    WORKLOAD_NAME,
    label_locality,
    node_locality,
    sorted_labels,
)
from clew.snapshot.networks import Networks
from clew.snapshot.peer_authentication import Authentication, Modes
from clew.snapshot.places import Places, entry_labels, pod_addresses
from clew.snapshot.scope import MutualTls

Nodes = Mapping[str, Node]


def kubernetes_endpoints(service: Service, places: Places, nodes: Nodes) -> tuple[Endpoint, ...]:
    """Return the endpoints of a Kubernetes Service.

    Slices (or Endpoints) are what a cluster's controllers have found; without any, the selector
    is applied to Pods. WorkloadEntries are always selected by labels, if their address is an IP.
    Source: istio ``workloadInstanceHandler`` of the Kubernetes registry.
    """
    found: list[Endpoint] = []
    if service.name in places.slices:
        slices = places.slices_of(service.name)
        found += _once(e for s in slices for e in _of_slice(s, service, places, nodes))
    elif service.name in places.endpoints:
        found += _of_endpoints(places.endpoints[service.name], service, places, nodes)
    elif service.selector:
        found += _selected_pods(service, places, nodes)
    if service.selector:
        entries = _selected_entries(service, places)
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
        pods = _selected_pods(service, places, nodes) if service.selector else ()
        return (*pods, *_selected_entries(service, places))
    declared = entry.spec.endpoints
    if not declared and service.resolution in (Resolution.DNS, Resolution.DNS_ROUND_ROBIN):
        declared = (WorkloadEntrySpec(address=service.hostname),)
    return tuple(
        endpoint
        for spec in declared
        for endpoint in _of_entry(spec, spec.labels, service, entry.metadata.name, Health.HEALTHY)
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


def pod_workload(pod: Pod, nodes: Nodes) -> Workload:
    """Return what runs in a pod; the name is its owner's, without the ReplicaSet's hash."""
    labels, node = pod.metadata.labels, nodes.get(pod.spec.node_name)
    of_node = node_locality(node.metadata.labels) if node else Locality()
    return Workload(
        name=labels.get(WORKLOAD_NAME) or _owner(pod),
        namespace=pod.metadata.namespace,
        labels=sorted_labels(labels),
        service_account=pod.spec.service_account_name or "default",
        locality=label_locality(labels) or of_node,
        network=labels.get(NETWORK, ""),
        node=pod.spec.node_name,
        has_proxy=labels.get(TLS_MODE) == "istio",
    )


def named_port(pod: Pod, name: str) -> int | None:
    ports = (p for c in pod.spec.containers for p in c.ports)
    return next((p.container_port for p in ports if p.name == name), None)


def _owner(pod: Pod) -> str:
    for owner in pod.metadata.owner_references:
        if owner.controller:
            hashed = owner.kind == "ReplicaSet" and "pod-template-hash" in pod.metadata.labels
            return owner.name.rpartition("-")[0] if hashed else owner.name
    return pod.metadata.name


def _selected_pods(service: Service, places: Places, nodes: Nodes) -> Iterator[Endpoint]:
    for pod in places.selected_pods(dict(service.selector or ())):
        yield from _of_pod(pod, service, nodes)


def _of_pod(pod: Pod, service: Service, nodes: Nodes) -> Iterator[Endpoint]:
    if pod.status is None or not pod.status.pod_ip or pod.metadata.deletion_timestamp:
        return
    ready = any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)
    health = Health.HEALTHY if ready or service.publish_not_ready else Health.UNHEALTHY
    workload, hostname = pod_workload(pod, nodes), _own_name(pod, service)
    for port in service.ports:
        if (number := _target(port, pod)) is not None:
            yield _endpoint(pod_addresses(pod), number, port.name, health, workload, hostname)


def _own_name(pod: Pod, service: Service) -> str:
    """Return what a pod is called under a headless service, "" if it has no such name.

    Pods of StatefulSets need not say it: they are called by their own names.
    Source: Kubernetes: a pod's hostname and subdomain.
    """
    if not service.headless:
        return ""
    of_set = any(o.controller and o.kind == "StatefulSet" for o in pod.metadata.owner_references)
    hostname = pod.spec.hostname or (pod.metadata.name if of_set else "")
    subdomain = pod.spec.subdomain or (service.name if of_set else "")
    return hostname if subdomain == service.name else ""


def _target(port: ServicePort, pod: Pod) -> int | None:
    if isinstance(port.target_port, str):
        return named_port(pod, port.target_port)
    return port.target_port or port.number


def _of_slice(
    slice_: EndpointSlice, service: Service, places: Places, nodes: Nodes
) -> Iterator[Endpoint]:
    names = {port.name for port in service.ports}
    for item in slice_.endpoints:
        if item.conditions.terminating:
            continue
        healthy = item.conditions.ready is not False or service.publish_not_ready
        health = Health.HEALTHY if healthy else Health.UNHEALTHY
        for address in item.addresses:
            pod = places.pod_at(address)
            zone = Locality("", item.zone)
            workload = pod_workload(pod, nodes) if pod else Workload(locality=zone)
            hostname = item.hostname or (_own_name(pod, service) if pod else "")
            more = tuple(a for a in pod_addresses(pod) if a != address) if pod else ()
            for port in slice_.ports:
                if port.port is not None and port.name in names:
                    at = (address, *more)
                    yield _endpoint(at, port.port, port.name, health, workload, hostname)


def _of_endpoints(
    resource: Endpoints, service: Service, places: Places, nodes: Nodes
) -> Iterator[Endpoint]:
    names = {port.name for port in service.ports}
    for subset in resource.subsets:
        ready = [(a, Health.HEALTHY) for a in subset.addresses]
        for address, health in (
            *ready,
            *((a, Health.UNHEALTHY) for a in subset.not_ready_addresses),
        ):
            pod = places.pod_at(address.ip)
            workload = pod_workload(pod, nodes) if pod else Workload()
            hostname = address.hostname or (_own_name(pod, service) if pod else "")
            for port in subset.ports:
                if port.name in names:
                    at = (address.ip,)
                    yield _endpoint(at, port.port, port.name, health, workload, hostname)


def _endpoint(
    addresses: tuple[str, ...],
    port: int,
    port_name: str,
    health: Health,
    workload: Workload,
    hostname: str = "",
) -> Endpoint:
    return Endpoint(
        address=addresses[0],
        more_addresses=addresses[1:],
        port=port,
        port_name=port_name,
        health=health,
        mutual_tls=workload.has_proxy,
        hostname=hostname,
        workload=workload,
    )


def _selected_entries(service: Service, places: Places) -> Iterator[Endpoint]:
    for entry in places.selected_entries(dict(service.selector or ())):
        health = Health.HEALTHY if _entry_is_healthy(entry) else Health.UNHEALTHY
        labels = entry_labels(entry)
        yield from _of_entry(entry.spec, labels, service, entry.metadata.name, health)


def _entry_is_healthy(entry: WorkloadEntry) -> bool:
    """An entry without health checks always is; one with them only once it is reported so.

    Source: istio ``isHealthy`` in the ServiceEntry controller.
    """
    status = entry.status if isinstance(entry.status, dict) else {}
    conditions: Sequence[Mapping[str, str]] = status.get("conditions", ())
    reported = (c.get("status") == "True" for c in conditions if c.get("type") == HEALTHY)
    return not entry.health_checked or any(reported)


def _takes_mtls(spec: WorkloadEntrySpec, labels: Mapping[str, str]) -> bool:
    """The label says it; without one, a workload that has an identity has a proxy.

    Source: istio ``getTLSModeFromWorkloadEntry``.
    """
    mode = labels.get(TLS_MODE)
    return mode == "istio" if mode is not None else bool(spec.service_account)


def _of_entry(
    spec: WorkloadEntrySpec,
    labels: Mapping[str, str],
    service: Service,
    name: str,
    health: Health,
) -> Iterator[Endpoint]:
    workload = Workload(
        name=labels.get(WORKLOAD_NAME, name),
        namespace=service.namespace,
        labels=sorted_labels(labels),
        service_account=spec.service_account,
        locality=Locality.parse(spec.locality) if spec.locality else Locality(),
        network=spec.network or labels.get(NETWORK, ""),
        has_proxy=_takes_mtls(spec, labels) and not service.mesh_external,
    )
    for port in service.ports:
        target = port.target_port if isinstance(port.target_port, int) else 0
        number = spec.ports.get(port.name) or target or port.number
        found = _endpoint((spec.address,), number, port.name, health, workload)
        yield msgspec.structs.replace(found, weight=spec.weight or 1)
