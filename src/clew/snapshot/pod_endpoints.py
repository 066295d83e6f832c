"""Where a Kubernetes Service is served: what EndpointSlices, Endpoints and Pods say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from clew.model.endpoint_slice import EndpointSlice
from clew.model.endpoints import Endpoints
from clew.model.node import Node
from clew.model.pod import Pod
from clew.model.service import Endpoint, Health, Locality, Service, ServicePort, Workload
from clew.snapshot.labels import (
    NETWORK,
    TLS_MODE,
    WORKLOAD_NAME,
    label_locality,
    node_locality,
    sorted_labels,
)
from clew.snapshot.places import Places, pod_addresses

Nodes = Mapping[str, Node]


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
    """Return the number of a container port of this name."""
    ports = (p for c in pod.spec.containers for p in c.ports)
    return next((p.container_port for p in ports if p.name == name), None)


def _owner(pod: Pod) -> str:
    for owner in pod.metadata.owner_references:
        if owner.controller:
            hashed = owner.kind == "ReplicaSet" and "pod-template-hash" in pod.metadata.labels
            return owner.name.rpartition("-")[0] if hashed else owner.name
    return pod.metadata.name


def selected_pods(service: Service, places: Places, nodes: Nodes) -> Iterator[Endpoint]:
    """Yield the endpoints that the service's selector finds among Pods."""
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
            yield endpoint_at(pod_addresses(pod), number, port.name, health, workload, hostname)


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


def of_slice(
    slice_: EndpointSlice, service: Service, places: Places, nodes: Nodes
) -> Iterator[Endpoint]:
    """Yield the endpoints of a slice, with the workloads of the Pods at their addresses."""
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
                    yield endpoint_at(at, port.port, port.name, health, workload, hostname)


def of_endpoints(
    resource: Endpoints, service: Service, places: Places, nodes: Nodes
) -> Iterator[Endpoint]:
    """Yield the same of the older form of slices."""
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
                    yield endpoint_at(at, port.port, port.name, health, workload, hostname)


def endpoint_at(
    addresses: tuple[str, ...],
    port: int,
    port_name: str,
    health: Health,
    workload: Workload,
    hostname: str = "",
) -> Endpoint:
    """Return where one port of a workload is served; ``addresses``: the one to call first."""
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
