"""Policies, patches and settings of the mesh: their part of the small world for property tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

from tests.snapshot.gateway_api.pool import API

SECURITY, NETWORKING = "security.istio.io/v1", "networking.istio.io"
LABELS: tuple[dict[str, str], ...] = ({}, {"app": "a"}, {"app": "b"}, {"app": "a", "version": "v1"})
TO_GATEWAY = [{"group": API, "kind": "Gateway", "name": "a"}]


def policy_manifests() -> Iterator[dict[str, Any]]:
    """Yield manifests without name and namespace; IngressClasses have none."""
    for mode, labels in product(("STRICT", "DISABLE"), LABELS):
        policy: dict[str, Any] = {"mtls": {"mode": mode}, **_selector(labels)}
        if labels:
            policy["portLevelMtls"] = {"8080": {"mode": "PERMISSIVE"}}
        yield _manifest(SECURITY, "PeerAuthentication", policy)
    for issuer, place in product(("a", "b"), _places()):
        rules = {"jwtRules": [{"issuer": issuer, "jwks": '{"keys": []}'}]}
        yield _manifest(SECURITY, "RequestAuthentication", {**place, **rules})
    for action, place in product(("ALLOW", "DENY"), _places()):
        yield _manifest(SECURITY, "AuthorizationPolicy", {**place, "action": action})
    for disabled, place in product((True, False), _places()):
        metrics = {"metrics": [{"overrides": [{"disabled": disabled}]}]}
        yield _manifest("telemetry.istio.io/v1", "Telemetry", {**place, **metrics})
    for labels, concurrency in product(LABELS, (1, 2)):
        spec = {**_selector(labels), "concurrency": concurrency}
        yield _manifest(f"{NETWORKING}/v1beta1", "ProxyConfig", spec)
        template = {"serviceAccount": "a", "ports": {"http-80": 8080 + concurrency}}
        group = {"metadata": {"labels": labels}, "template": template}
        yield _manifest(f"{NETWORKING}/v1", "WorkloadGroup", group)
    yield from _envoy_filters()
    for controller, default in product(("istio.io/ingress-controller", "x.org/other"), (0, 1)):
        annotations = {"ingressclass.kubernetes.io/is-default-class": "true"} if default else {}
        yield {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"annotations": annotations},
            "spec": {"controller": controller},
        }


def _manifest(version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {}, "spec": spec}


def _selector(labels: dict[str, str]) -> dict[str, Any]:
    return {"selector": {"matchLabels": labels}} if labels else {}


def _places() -> Iterator[dict[str, Any]]:
    yield from map(_selector, LABELS)
    yield {"targetRefs": TO_GATEWAY}


def _envoy_filters() -> Iterator[dict[str, Any]]:
    clusters = {
        "applyTo": "CLUSTER",
        "match": {"context": "SIDECAR_OUTBOUND", "cluster": {"portNumber": 80}},
        "patch": {"operation": "MERGE", "value": {"connect_timeout": "7s"}},
    }
    routes = {
        "applyTo": "HTTP_ROUTE",
        "match": {"context": "GATEWAY", "routeConfiguration": {"portNumber": 80}},
        "patch": {"operation": "MERGE", "value": {"route": {"timeout": "7s"}}},
    }
    listeners = {
        "applyTo": "LISTENER",
        "match": {"context": "ANY", "proxy": {"proxyVersion": "^1\\."}},
        "patch": {"operation": "MERGE", "value": {"per_connection_buffer_limit_bytes": 4096}},
    }
    places: list[dict[str, Any]] = [{"workloadSelector": {"labels": each}} for each in LABELS]
    for patch, place, priority in product(
        (clusters, routes, listeners), (*places, {}, {"targetRefs": TO_GATEWAY}), (0, 1)
    ):
        spec = {"configPatches": [patch], "priority": priority, **place}
        yield _manifest(f"{NETWORKING}/v1alpha3", "EnvoyFilter", spec)


def mesh_configs() -> Iterator[dict[str, Any]]:
    """Yield ConfigMaps with the mesh's settings."""
    selector = {"matchLabels": {"topology.istio.io/network": "far"}}
    visible = {"defaultVisibility": "NAMESPACE", "applyToSidecars": True}
    policies = [{"visibility": "PUBLIC", "matchingRules": [{"namespaceSelector": selector}]}]
    for mesh in (
        {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}},
        {"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}},
        {"discoverySelectors": [selector]},
        {"serviceEntryVisibility": {**visible, "policies": policies}},
        {"ingressControllerMode": "DEFAULT", "rootNamespace": "istio-system"},
        {"defaultServiceExportTo": ["."], "defaultVirtualServiceExportTo": ["."]},
        {"defaultDestinationRuleExportTo": ["."], "localityLbSetting": {"enabled": False}},
    ):
        yield _config_map({"mesh": json.dumps(mesh)})
    gateways = [{"address": "192.0.2.9", "port": 15443}]
    ranges = [{"fromCidr": "10.0.0.2/31"}]
    networks = {"networks": {"far": {"endpoints": ranges, "gateways": gateways}}}
    yield _config_map({"mesh": "{}", "meshNetworks": json.dumps(networks)})


def _config_map(data: dict[str, str]) -> dict[str, Any]:
    meta = {"name": "istio", "namespace": "istio-system"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
