"""Made-up meshes of any size: objects of Kubernetes and Istio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Manifest = dict[str, Any]
CREATED = "2026-01-01T00:00:00Z"


def fleet(services: int, endpoints: int, *, namespaces: int = 50) -> Iterator[Manifest]:
    """Yield the objects of ``services`` services with ``endpoints`` sidecars each.

    Service ``svc-7`` is in namespace ``ns-7`` (of ``namespaces``), and every one has a
    VirtualService. Each namespace has a Sidecar that lets its workloads see only their own.
    """
    for number in range(namespaces):
        yield sidecar(f"ns-{number}")
    for number in range(services):
        name, namespace = f"svc-{number}", f"ns-{number % namespaces}"
        yield service(name, namespace, number)
        yield endpoint_slice(name, namespace, number, endpoints)
        yield virtual_service(name, namespace, 100)


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


def endpoint_slice(name: str, namespace: str, number: int, count: int) -> Manifest:
    first = number * count
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


def virtual_service(name: str, namespace: str, weight: int) -> Manifest:
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
                    "timeout": "3s",
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
        "spec": {"egress": [{"hosts": ["./*"]}]},
    }


def _metadata(name: str, namespace: str) -> Manifest:
    return {"name": name, "namespace": namespace, "creationTimestamp": CREATED}


def _address(number: int) -> str:
    return f"10.{number >> 16 & 63}.{number >> 8 & 255}.{number & 255}"
