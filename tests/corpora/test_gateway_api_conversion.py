"""Gateway API objects as Istio's own conversion has them. A ratchet: raise it, never lower."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from clew.model.base import Resource
from clew.snapshot.findings import own_statuses
from clew.snapshot.snapshot import MeshSnapshot, build_snapshot
from tests.corpora.conftest import Score
from tests.corpora.corpus import cases
from tests.corpora.gateway_worlds import documents, istio_world, plain

# Listeners of UDP, which Istio refuses, are served here.
OBJECTS = 0.96
STATUSES = 0.99
_INDEX = re.compile(r"~(tcp|tls)~\d+~")
_KEPT = ("internal.istio.io/gateway-service", "internal.istio.io/route-semantics")


def converted(snapshot: MeshSnapshot) -> list[Resource]:
    return list(snapshot.gateway_api.objects.values())


def comparable(manifest: dict[str, Any]) -> tuple[str, str]:
    """What an object does: without provenance, and with defaults left out."""
    meta = manifest["metadata"]
    annotations = {k: v for k, v in (meta.get("annotations") or {}).items() if k in _KEPT}
    spec = plain(manifest["spec"])
    spec.pop("exportTo", None)
    for server in spec.get("servers", ()):
        if server.get("tls", {}).get("mode") == "PASSTHROUGH":
            del server["tls"]["mode"]
        if not server.get("tls"):
            server.pop("tls", None)
    for route in spec.get("http", ()):
        matches = [m for match in route.get("match", ()) if (m := without_every_path(match))]
        route["match"] = matches
    tls = spec.get("trafficPolicy", {}).get("tls", {})
    if tls.get("subjectAltNames") == [tls.get("sni")]:
        del tls["subjectAltNames"]
    name = _INDEX.sub(r"~\1~", meta["name"])
    place = f"{manifest['kind']} {meta['namespace']}/{name}"
    values = msgspec.json.encode([plain(annotations), spec], order="sorted")
    return place, values.decode()


def without_every_path(match: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in match.items() if (k, v) != ("uri", {"prefix": "/"})}


def normal(resource: Resource) -> tuple[str, str]:
    return comparable(msgspec.json.decode(msgspec.json.encode(resource, enc_hook=str)))


@pytest.mark.proves(
    "AllowedListeners.namespaces",
    "AllowedRoutes.namespaces",
    "BackendObjectReference.group",
    "BackendObjectReference.kind",
    "BackendObjectReference.name",
    "BackendObjectReference.port",
    "BackendRef.group",
    "BackendRef.kind",
    "BackendRef.name",
    "BackendRef.namespace",
    "BackendRef.port",
    "BackendRef.weight",
    "BackendTLSPolicySpec.targetRefs",
    "BackendTLSPolicyValidation.hostname",
    "FrontendTLSValidation.caCertificateRefs",
    "FrontendTLSValidation.mode=AllowValidOnly",
    "GRPCBackendRef.group",
    "GRPCBackendRef.kind",
    "GRPCBackendRef.name",
    "GRPCBackendRef.port",
    "GRPCHeaderMatch.name",
    "GRPCHeaderMatch.type=Exact",
    "GRPCHeaderMatch.value",
    "GRPCMethodMatch.method",
    "GRPCMethodMatch.service",
    "GRPCMethodMatch.type=Exact",
    "GRPCRouteFilter.requestHeaderModifier",
    "GRPCRouteFilter.type=RequestHeaderModifier",
    "GRPCRouteMatch.headers",
    "GRPCRouteMatch.method",
    "GRPCRouteRule.backendRefs",
    "GRPCRouteRule.filters",
    "GRPCRouteRule.matches",
    "GRPCRouteSpec.hostnames",
    "GRPCRouteSpec.parentRefs",
    "GatewayClassSpec.controllerName",
    "GatewaySpecAddress.type",
    "GatewaySpecAddress.value",
    "GatewayTLSConfig.frontend",
    "HTTPBackendRef.group",
    "HTTPBackendRef.kind",
    "HTTPBackendRef.name",
    "HTTPBackendRef.port",
    "HTTPHeaderFilter.remove",
    "HTTPHeaderMatch.name",
    "HTTPHeaderMatch.type=Exact",
    "HTTPHeaderMatch.value",
    "HTTPQueryParamMatch.name",
    "HTTPQueryParamMatch.type=RegularExpression",
    "HTTPQueryParamMatch.value",
    "HTTPRequestRedirectFilter.scheme",
    "HTTPRequestRedirectFilter.statusCode",
    "HTTPRouteFilter.requestHeaderModifier",
    "HTTPRouteFilter.requestMirror",
    "HTTPRouteFilter.requestRedirect",
    "HTTPRouteFilter.responseHeaderModifier",
    "HTTPRouteFilter.type=RequestHeaderModifier",
    "HTTPRouteFilter.type=ResponseHeaderModifier",
    "HTTPRouteSpec.hostnames",
    "HTTPRouteSpec.parentRefs",
    "KubernetesGatewaySpec.addresses",
    "KubernetesGatewaySpec.allowedListeners",
    "KubernetesGatewaySpec.gatewayClassName",
    "KubernetesGatewaySpec.tls",
    "LabelSelector.matchLabels",
    "Listener.allowedRoutes",
    "Listener.name",
    "Listener.port",
    "Listener.protocol",
    "ListenerNamespaces.from=All",
    "ListenerNamespaces.from=None",
    "ListenerTLSConfig.mode=Passthrough",
    "ListenerTLSConfig.options",
    "LocalPolicyTargetReference.group",
    "LocalPolicyTargetReference.kind",
    "LocalPolicyTargetReference.name",
    "ObjectReference.group",
    "ObjectReference.kind",
    "ObjectReference.name",
    "ObjectReference.namespace",
    "ParentGatewayReference.kind",
    "ParentGatewayReference.name",
    "ParentGatewayReference.namespace",
    "ParentReference.group",
    "ParentReference.kind",
    "ParentReference.name",
    "ParentReference.namespace",
    "ParentReference.port",
    "ParentReference.sectionName",
    "ReferenceGrantFrom.group",
    "ReferenceGrantFrom.kind",
    "ReferenceGrantTo.group",
    "RouteGroupKind.group",
    "RouteGroupKind.kind",
    "RouteNamespaces.from=All",
    "RouteNamespaces.from=Same",
    "RouteNamespaces.from=Selector",
    "RouteNamespaces.selector",
    "SecretObjectReference.group",
    "SecretObjectReference.kind",
    "SecretObjectReference.name",
    "TCPRouteRule.backendRefs",
    "TCPRouteSpec.parentRefs",
    "TCPRouteSpec.rules",
    "TLSConfig.validation",
    "TLSRouteRule.backendRefs",
    "TLSRouteSpec.parentRefs",
    "TLSRouteSpec.rules",
)
def test_objects_are_those_of_istio(score: Score) -> None:
    wrong, total = [], 0
    for case in cases("gateway-conversion"):
        total += 1
        snapshot = build_snapshot(istio_world(case["input_yaml"]))
        found = sorted(map(normal, converted(snapshot)))
        expected = sorted(map(comparable, documents(case["expected_istio_yaml"])))
        if found != expected:
            missing = "".join(f"\n  - {' '.join(each)}" for each in expected if each not in found)
            surplus = "".join(f"\n  + {' '.join(each)}" for each in found if each not in expected)
            wrong.append(f"{case['id']} {case['name']}{missing}{surplus}")
    score("gateway-conversion", total, wrong, OBJECTS)


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in status.get("conditions") or ()}


def reference(values: dict[str, Any], namespace: str) -> str:
    default = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": namespace}
    return str(sorted({**default, **values}.items(), key=str))


def facts(status: dict[str, Any], namespace: str) -> dict[str, Any]:
    """What a status says, without words for people and the order of lists."""
    parents = [
        (reference(p["parentRef"], namespace), p["controllerName"], conditions(p))
        for p in status.get("parents") or ()
    ]
    ancestors = [
        (reference(a["ancestorRef"], namespace), a["controllerName"], conditions(a))
        for a in status.get("ancestors") or ()
    ]
    listeners = {
        each["name"]: (each["attachedRoutes"], each["supportedKinds"], conditions(each))
        for each in status.get("listeners") or ()
    }
    return {
        "conditions": conditions(status),
        "addresses": status.get("addresses") or [],
        "attachedListenerSets": status.get("attachedListenerSets"),
        "parents": sorted(parents, key=str),
        "ancestors": sorted(ancestors, key=str),
        "listeners": listeners,
    }


@pytest.mark.proves(
    "AllowedRoutes.kinds",
    "SecretObjectReference.namespace",
)
def test_statuses_are_those_of_istio(score: Score) -> None:
    wrong, total = [], 0
    for case in cases("gateway-conversion"):
        snapshot = build_snapshot(istio_world(case["input_yaml"]))
        found = {(k.kind, k.namespace, k.name): v for k, v in own_statuses(snapshot).items()}
        for expected in documents(case["expected_status_yaml"]):
            meta = expected["metadata"]
            namespace = meta.get("namespace", "")
            key = (expected["kind"], namespace, meta["name"])
            total += 1
            ours = facts(found.get(key, {}), namespace)
            theirs = facts(expected["status"] or {}, namespace)
            if ours != theirs:
                different = [
                    f"\n  - {theirs[k]}\n  + {ours[k]}" for k in ours if ours[k] != theirs[k]
                ]
                wrong.append(f"{case['name']}: {key}{''.join(different)}")
    score("gateway-conversion statuses", total, wrong, STATUSES)
