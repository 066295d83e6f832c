"""A small world for property tests: few names, so that its objects meet in every way."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from clew.config.parse import parse_manifest
from clew.model.base import Resource
from clew.model.proxy import Interception, Proxy, ProxyType
from tests.snapshot.gateway_api.pool import LABEL, gateway_api_manifests
from tests.snapshot.policies_pool import mesh_configs, policy_manifests

ISTIO = "networking.istio.io/v1"
NAMES, NAMESPACES = ("a", "b"), ("one", "two", "istio-system")
AGES = ("2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z")
ADDRESSES = ("10.0.0.1", "10.0.0.2", "10.0.0.3")
APPS: tuple[dict[str, str], ...] = ({"app": "a"}, {"app": "b"}, {"app": "a", "version": "v1"})
LABELS = ({}, *APPS)
EXPORTS: tuple[list[str], ...] = ([], ["."], ["two"], ["one", "two"])
HOSTS = ("a", "a.one.svc.cluster.local", "*.example.com", "x.org")
READY = [{"type": "Ready", "status": "True"}]
HTTP_80 = {"name": "http-80", "port": 80, "targetPort": 8080}
ROUTER = (("app", "a"), ("istio", "ingressgateway"))
WEB_81 = {"name": "http-81", "port": 81, "targetPort": "web"}
PROXIES = (
    *(
        Proxy(type=kind, name="p", namespace=namespace, ip=ip, labels=labels, node_name="a")
        for kind, namespace, ip, labels in (
            (ProxyType.SIDECAR, "one", "10.0.0.1", (("app", "a"), ("version", "v1"))),
            (ProxyType.SIDECAR, "two", "10.0.0.2", (("app", "b"),)),
            (ProxyType.SIDECAR, "two", "10.0.0.9", ()),
            (ProxyType.ROUTER, "istio-system", "10.0.0.3", ROUTER),
            (ProxyType.ROUTER, "one", "10.0.0.4", tuple(LABEL.items())),
        )
    ),
    Proxy(
        type=ProxyType.SIDECAR,
        name="uncaptured",
        namespace="two",
        ip="10.0.0.2",
        labels=(("app", "b"),),
        interception=Interception.NONE,
        config='{"connectionSettings": {"profile": "EDGE"}}',
    ),
    Proxy(type=ProxyType.SIDECAR, name="grpc", namespace="one", ip="10.0.0.8", grpc=True),
)


def _specs() -> Iterator[tuple[str, str, Any]]:
    """Yield API version, kind and spec."""
    for ip, selector, ports in product(
        ("10.1.0.1", "None"), LABELS, ([HTTP_80], [WEB_81], [HTTP_80, WEB_81])
    ):
        where = "Local" if ports == [WEB_81] else "Cluster"
        spec = {"clusterIP": ip, "selector": selector, "ports": ports}
        yield "v1", "Service", {**spec, "internalTrafficPolicy": where}
    for address, labels in product(ADDRESSES, LABELS):
        yield ISTIO, "WorkloadEntry", {"address": address, "labels": labels}
    places: tuple[str | dict[str, str], ...] = (*ADDRESSES, *APPS)
    for host, export, place in product(("a.example.com", "x.org"), EXPORTS, places):
        yield ISTIO, "ServiceEntry", _service_entry(host, export, place)
    for host, gateways, export, delegate in product(
        HOSTS, (["mesh"], ["one/a"], ["mesh", "one/b"]), EXPORTS, (None, *NAMES)
    ):
        route = [{"destination": {"host": "b"}}]
        http = (
            {"delegate": {"name": delegate, "namespace": "one"}} if delegate else {"route": route}
        )
        yield (
            ISTIO,
            "VirtualService",
            {
                "hosts": [host],
                "gateways": gateways,
                "exportTo": export,
                "http": [http],
            },
        )
    for host, export in product(HOSTS[::2], EXPORTS):
        destination = {"host": host.replace("*", "a")}
        yield (
            ISTIO,
            "VirtualService",
            {
                "http": [{"route": [{"destination": destination}]}],
                "exportTo": export,
            },
        )
    yield from _destination_rules()
    imports = ("./*", "*/*", "one/*", "*/a.example.com")
    for hosts, labels, ingress in product(imports, LABELS, (False, True)):
        yield ISTIO, "Sidecar", _sidecar([hosts, "~two/a.example.com"], labels, ingress)
    for labels in LABELS:
        for port in (
            {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]},
            {
                "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
                "tls": {"mode": "SIMPLE", "credentialName": "a"},
                "hosts": ["*.example.com"],
            },
        ):
            yield ISTIO, "Gateway", {"selector": labels, "servers": [port]}


def _destination_rules() -> Iterator[tuple[str, str, Any]]:
    for host, export, labels in product((*HOSTS, "*.local"), EXPORTS, LABELS):
        rule: dict[str, Any] = {"host": host, "exportTo": export}
        if labels:
            rule["workloadSelector"] = {"matchLabels": labels}
        yield ISTIO, "DestinationRule", rule
    for name, selector in product(("a", "configmap://one/a"), LABELS[:2]):
        tls = {"mode": "SIMPLE", "credentialName": name}
        rule = {"host": "*.example.com", "exportTo": ["."], "trafficPolicy": {"tls": tls}}
        if selector:
            rule["workloadSelector"] = {"matchLabels": selector}
        yield ISTIO, "DestinationRule", rule


def _service_entry(host: str, export: list[str], place: str | dict[str, str]) -> dict[str, Any]:
    by_label = {"workloadSelector": {"labels": place}}
    return {
        "hosts": [host],
        "ports": [{"number": 80, "name": "http-80", "protocol": "HTTP"}],
        "resolution": "STATIC",
        "location": "MESH_INTERNAL",
        "exportTo": export,
        **({"endpoints": [{"address": place}]} if isinstance(place, str) else by_label),
    }


def _sidecar(hosts: list[str], labels: dict[str, str], ingress: bool) -> dict[str, Any]:
    port = {"number": 80, "protocol": "HTTP", "name": "http"}
    return {
        "egress": [{"hosts": hosts}],
        **({"workloadSelector": {"labels": labels}} if labels else {}),
        **({"ingress": [{"port": port, "defaultEndpoint": "0.0.0.0:8080"}]} if ingress else {}),
    }


def _places() -> Iterator[dict[str, Any]]:
    """Yield what is not written as a spec."""
    for ip, labels, conditions, port in product(ADDRESSES, LABELS, ([], READY), (0, 8081)):
        ports = [{"name": "web", "containerPort": port}] if port else []
        yield {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"labels": {"security.istio.io/tlsMode": "istio", **labels}},
            "spec": {"nodeName": "a", "containers": [{"name": "c", "ports": ports}]},
            "status": {"podIP": ip, "conditions": conditions},
        }
    for service, addresses in product(NAMES, ([], ADDRESSES[:1], ADDRESSES[1:])):
        yield {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"labels": {"kubernetes.io/service-name": service}},
            "addressType": "IPv4",
            "ports": [{"name": "http-80", "port": 8080}],
            "endpoints": [{"addresses": [address]} for address in addresses],
        }
    backends: tuple[dict[str, Any], ...] = ({"number": 80}, {"name": "http-81"})
    for host, name, backend_port in product(("*", "x.org"), NAMES, backends):
        path = {"path": "/a", "pathType": "Prefix"}
        backend = {"service": {"name": name, "port": backend_port}}
        yield {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {},
            "spec": {
                "ingressClassName": "istio",
                "rules": [{"host": host, "http": {"paths": [{**path, "backend": backend}]}}],
            },
        }
    for value in NAMES:
        data = {"tls.crt": value, "tls.key": value}
        yield {"apiVersion": "v1", "kind": "Secret", "metadata": {}, "stringData": data}
        roots = {"ca.crt": value}
        yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": roots}
    for ip in ADDRESSES:
        ports = [{"name": "http-80", "port": 8080}]
        subset = {"addresses": [{"ip": ip}], "ports": ports}
        yield {"apiVersion": "v1", "kind": "Endpoints", "metadata": {}, "subsets": [subset]}


def _manifests() -> Iterator[dict[str, Any]]:
    declared = [{"apiVersion": v, "kind": k, "metadata": {}, "spec": s} for v, k, s in _specs()]
    placed = [*declared, *_places(), *policy_manifests()]
    for each, name, namespace, age in product(placed, NAMES, NAMESPACES, AGES):
        place = {} if each["kind"] == "IngressClass" else {"namespace": namespace}
        own = {"name": name, "creationTimestamp": age, **place}
        yield {**each, "metadata": {**each["metadata"], **own}}
    yield from gateway_api_manifests(AGES)
    for network, namespace in product(("", "far"), NAMESPACES):
        labels = {"topology.istio.io/network": network} if network else {}
        space = {"name": namespace, "labels": labels}
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": space}
    for network in ("", "far"):
        labels = {"topology.istio.io/network": network} if network else {}
        gate = {"name": "gate", "namespace": "istio-system", "labels": labels}
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": gate,
            "spec": {"externalIPs": ["192.0.2.1"], "ports": [{"name": "tls", "port": 15443}]},
        }
    for zone in NAMES:
        labels = {"topology.kubernetes.io/zone": zone}
        yield {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", "labels": labels}}
    yield from mesh_configs()


def gateway_service() -> Resource:
    """What the Gateway of the Gateway API is reached by: it is always there."""
    reached = [{"name": f"port-{number}", "port": number} for number in (80, 443, 8443, 9000)]
    return _parsed(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "a-istio", "namespace": "one"},
            "spec": {"clusterIP": "10.1.0.9", "selector": LABEL, "ports": reached},
        }
    )


def by_kind() -> dict[type[Resource], list[Resource]]:
    """Return all objects of this world."""
    found: dict[type[Resource], list[Resource]] = {}
    for manifest in _manifests():
        parsed = _parsed(manifest)
        found.setdefault(type(parsed), []).append(parsed)
    return found


def _parsed(manifest: dict[str, Any]) -> Resource:
    document = parse_manifest(manifest)
    assert document.resource is not None, document.diagnostics
    return document.resource
