"""Made-up meshes of any size: objects of Kubernetes and Istio."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from clew.config.parse import parse_manifest
from clew.model.base import Resource

Manifest = dict[str, Any]
CREATED = "2026-01-01T00:00:00Z"
# What every Sidecar of the fleet lets in besides its own namespace.
SHARED = "shared"


def fleet(
    services: int, endpoints: int, *, namespaces: int = 50, scoped: bool = True
) -> Iterator[Manifest]:
    """Yield the objects of ``services`` services with ``endpoints`` pods with sidecars each.

    Service ``svc-7`` is in namespace ``ns-7`` (of ``namespaces``), and every one has a
    VirtualService. ``scoped``: each namespace has a Sidecar that lets its workloads see only
    their own and what namespace ``shared`` offers.
    """
    for number in range(namespaces if scoped else 0):
        yield sidecar(f"ns-{number}")
    for number in range(services):
        yield from workload(f"svc-{number}", f"ns-{number % namespaces}", number, endpoints)


def workload(name: str, namespace: str, number: int, endpoints: int) -> Iterator[Manifest]:
    """Yield one service with its pods and its routes."""
    yield service(name, namespace, number)
    yield endpoint_slice(name, namespace, number * endpoints, endpoints)
    for replica in range(endpoints):
        yield pod(name, namespace, replica, _address(number * endpoints + replica))
    yield virtual_service(name, namespace, 100)


def resources(manifests: Iterable[Manifest]) -> Iterator[Resource]:
    """Yield the objects. Raises: ValueError if one of them is not valid."""
    for manifest in manifests:
        document = parse_manifest(manifest)
        if document.resource is None or not document.valid:
            raise ValueError(f"{manifest['kind']}: {document.diagnostics}")
        yield document.resource


def service(name: str, namespace: str, number: int) -> Manifest:
    port = {"name": "http", "port": 9080, "targetPort": 8080, "protocol": "TCP"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(name, namespace),
        "spec": {
            "clusterIP": f"10.{96 + (number >> 16)}.{number >> 8 & 255}.{number & 255}",
            "ports": [port],
            "selector": {"app": name},
        },
    }


def endpoint_slice(name: str, namespace: str, first: int, count: int) -> Manifest:
    """Return a slice of ``count`` consecutive addresses from the fleet's ``first`` one on."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            **_metadata(f"{name}-slice", namespace),
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": [_address(first + i)], "conditions": {"ready": True}}
            for i in range(count)
        ],
    }


def pod(service_name: str, namespace: str, replica: int, address: str) -> Manifest:
    """Return a pod of the service's Deployment."""
    labels = {"app": service_name, "version": "v1", "security.istio.io/tlsMode": "istio"}
    labels["pod-template-hash"] = "5d4f8c7b9"
    owner = f"{service_name}-v1-5d4f8c7b9"
    metadata = {
        **_metadata(f"{owner}-{replica}", namespace),
        "labels": labels,
        "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": owner}
            | {"controller": True}
        ],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"serviceAccountName": service_name},
        "status": {"podIP": address, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def virtual_service(name: str, namespace: str, weight: int, *, timeout: str = "3s") -> Manifest:
    destination = {"host": name, "port": {"number": 9080}}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": _metadata(name, namespace),
        "spec": {
            "hosts": [name],
            "http": [
                {
                    "match": [{"headers": {"end-user": {"exact": "jason"}}}],
                    "route": [{"destination": destination}],
                    "timeout": timeout,
                },
                {
                    "route": [{"destination": destination, "weight": weight}],
                    "retries": {"attempts": 3, "perTryTimeout": "2s", "retryOn": "5xx"},
                },
            ],
        },
    }


def sidecar(namespace: str) -> Manifest:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Sidecar",
        "metadata": _metadata("default", namespace),
        "spec": {"egress": [{"hosts": ["./*", f"{SHARED}/*"]}]},
    }


def _metadata(name: str, namespace: str) -> Manifest:
    return {"name": name, "namespace": namespace, "creationTimestamp": CREATED}


def _address(number: int) -> str:
    return f"10.{number >> 16 & 63}.{number >> 8 & 255}.{number & 255}"
