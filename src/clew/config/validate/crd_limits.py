"""How long texts and lists may be, and how large numbers, by the schemas of Istio's CRDs.

What the other rules say of a field is not here again; they see values, and this sees the manifest,
where an empty list is something else than none.

Source: istio ``customresourcedefinitions``, and istiod's admission for the empty lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from clew.config.finding import FieldPath, Finding

_UNLIMITED = 2**63


@dataclass(frozen=True, slots=True)
class Size:
    """Characters of a text, entries of a list or map."""

    least: int = 0
    most: int = _UNLIMITED

    def problem(self, value: Any) -> str:
        if not isinstance(value, (str, list, dict)) or self.least <= len(value) <= self.most:
            return ""
        unit = "characters" if isinstance(value, str) else "entries"
        if len(value) < self.least:
            return "it is empty"
        return f"{len(value)} {unit}, and at most {self.most} are allowed"


@dataclass(frozen=True, slots=True)
class Range:
    """A whole number."""

    low: int
    high: int

    def problem(self, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return ""
        if self.low <= value <= self.high:
            return ""
        return f"{value:g} is not between {self.low} and {self.high}"


@dataclass(frozen=True, slots=True)
class Given:
    """A value: in most places, null is as good as nothing."""

    def problem(self, value: Any) -> str:
        return "" if value is not None else "the value is missing"


Limit = Size | Range | Given
Limits = Mapping[str, Limit]

_INT32, _UINT32 = Range(-(2**31), 2**31 - 1), Range(0, 2**32 - 1)
_NOT_EMPTY = Size(least=1)


def _under(prefix: str, limits: Limits) -> Limits:
    return {f"{prefix}.{path}": limit for path, limit in limits.items()}


_SELECTOR: Limits = {
    "selector.matchLabels": Size(most=4096),
    "selector.matchLabels.{}": Size(most=63),
}
_TARGETS: Limits = {
    "targetRefs": Size(most=16),
    "targetRefs.[].group": Size(most=253),
    "targetRefs.[].kind": Size(1, 63),
    "targetRefs.[].name": Size(1, 253),
    "targetRef.group": Size(most=253),
    "targetRef.kind": Size(1, 63),
    "targetRef.name": Size(1, 253),
}
_LABELS: Limits = {
    "workloadSelector.labels": Size(most=256),
    "workloadSelector.labels.{}": Size(most=63),
}
_POOL: Limits = {
    "http.http1MaxPendingRequests": _INT32,
    "http.http2MaxRequests": _INT32,
    "http.maxConcurrentStreams": _INT32,
    "http.maxRequestsPerConnection": _INT32,
    "http.maxRetries": _INT32,
    "tcp.maxConnections": _INT32,
    "tcp.tcpKeepalive.probes": _UINT32,
}
_PORT_POLICY: Limits = {
    **_under("connectionPool", _POOL),
    "outlierDetection.consecutive5xxErrors": _UINT32,
    "outlierDetection.consecutiveGatewayErrors": _UINT32,
    "outlierDetection.consecutiveLocalOriginFailures": _UINT32,
    "outlierDetection.consecutiveErrors": _INT32,
    "loadBalancer.consistentHash.minimumRingSize": Range(0, _UNLIMITED),
    "loadBalancer.consistentHash.ringHash.minimumRingSize": Range(0, _UNLIMITED),
    "loadBalancer.zoneAwareLbSetting.minClusterSize": Range(1, 2**32 - 1),
    "loadBalancer.backendUtilization.errorUtilizationPenaltyPercent": _UINT32,
}
_POLICY: Limits = {
    **_PORT_POLICY,
    **_under("portLevelSettings.[]", _PORT_POLICY),
    "portLevelSettings": Size(most=4096),
    "portLevelSettings.[].port.number": _UINT32,
    "retryBudget.minRetryConcurrency": _UINT32,
    "tunnel.targetPort": _UINT32,
}
_WORKLOAD: Limits = {
    "address": Size(most=256),
    "labels": Size(most=256),
    "locality": Size(most=2048),
    "network": Size(most=2048),
    "ports": Size(most=128),
    "serviceAccount": Size(most=253),
    "weight": _UINT32,
}
_SERVER_TLS: Limits = {"credentialNames": Size(1, 2), "tlsCertificates": Size(1, 2)}
_WASM: Limits = {
    "imagePullSecret": Size(1, 253),
    "pluginName": Size(1, 256),
    "vmConfig.env": Size(most=256),
    "vmConfig.env.[].name": Size(1, 256),
    "vmConfig.env.[].value": Size(most=2048),
}
_KINDS: Mapping[str, Limits] = {
    "AuthorizationPolicy": {
        **_SELECTOR,
        **_TARGETS,
        "rules": Size(most=512),
        "rules.[].from": Size(1, 512),
        "rules.[].to": _NOT_EMPTY,
    },
    "DestinationRule": {
        **_under("trafficPolicy", _POLICY),
        **_under("subsets.[].trafficPolicy", _POLICY),
        "workloadSelector.matchLabels": Size(most=4096),
        "workloadSelector.matchLabels.{}": Size(most=63),
    },
    "EnvoyFilter": {
        **_LABELS,
        **_TARGETS,
        "priority": _INT32,
        "configPatches.[].match.cluster.portNumber": _UINT32,
        "configPatches.[].match.listener.portNumber": _UINT32,
        "configPatches.[].match.listener.filterChain.destinationPort": _UINT32,
        "configPatches.[].match.routeConfiguration.portNumber": _UINT32,
        "configPatches.[].match.waypoint.portNumber": Range(1, 65535),
    },
    "Gateway": _under("servers.[].tls", _SERVER_TLS),
    # Unset, each of these has a default; set to nothing, it has none.
    "MeshConfig": {
        "proxyListenPort": Range(1, 65535),
        "defaultConfig.binaryPath": _NOT_EMPTY,
        "defaultConfig.configPath": _NOT_EMPTY,
        "defaultConfig.discoveryAddress": _NOT_EMPTY,
        "defaultConfig.serviceCluster": _NOT_EMPTY,
        "defaultConfig.proxyAdminPort": Range(1, 65535),
        "defaultConfig.statusPort": Range(1, 65535),
    },
    "PeerAuthentication": {**_SELECTOR, "portLevelMtls": _NOT_EMPTY},
    "ProxyConfig": {**_SELECTOR, "concurrency": _INT32, "environmentVariables.{}": Size(most=2048)},
    "RequestAuthentication": {
        **_SELECTOR,
        **_TARGETS,
        "jwtRules": Size(most=4096),
        "jwtRules.[].jwksUri": Size(1, 2048),
        "jwtRules.[].issuer": _NOT_EMPTY,
        "jwtRules.[].spaceDelimitedClaims": Size(most=64),
    },
    "ServiceEntry": {
        **_LABELS,
        **_under("endpoints.[]", _WORKLOAD),
        "addresses": Size(most=256),
        "addresses.[]": Size(most=64),
        "endpoints": Size(most=4096),
        "hosts": Size(1, 256),
        "ports": Size(most=256),
        "ports.[].name": Size(most=256),
        "ports.[].protocol": Size(most=256),
        "ports.[].targetPort": Range(1, 65535),
    },
    "Sidecar": {
        **_LABELS,
        **_under("inboundConnectionPool", _POOL),
        **_under("ingress.[].connectionPool", _POOL),
        **_under("ingress.[].tls", _SERVER_TLS),
    },
    "Telemetry": {**_SELECTOR, **_TARGETS},
    "TrafficExtension": {
        **_SELECTOR,
        **_TARGETS,
        **_under("wasm", _WASM),
        "priority": _INT32,
        "match.[].ports.[].number": Range(1, 65535),
    },
    "WasmPlugin": {
        **_SELECTOR,
        **_TARGETS,
        **_WASM,
        "priority": _INT32,
        "match.[].ports.[].number": Range(1, 65535),
    },
    "WorkloadEntry": _WORKLOAD,
    "WorkloadGroup": {
        **_under("template", _WORKLOAD),
        "metadata.annotations": Size(most=256),
        "metadata.labels": Size(most=256),
        "probe.exec.command.[]": _NOT_EMPTY,
        "probe.failureThreshold": _INT32,
        "probe.initialDelaySeconds": _INT32,
        "probe.periodSeconds": _INT32,
        "probe.successThreshold": _INT32,
        "probe.timeoutSeconds": _INT32,
    },
}


@dataclass(frozen=True, slots=True)
class _Node:
    """A field that has a limit, or something in it that has."""

    limit: Limit | None
    inside: Mapping[str, _Node]


_WITHOUT_NULLS: Mapping[str, Limits] = {"VirtualService": {"http.[].match.[].headers.{}": Given()}}


def check_nulls(kind: str, spec: Any) -> Iterator[Finding]:
    """Yield which fields of an object are null where that is not as good as nothing."""
    if limits := _WITHOUT_NULLS.get(kind):
        yield from _check(spec, _node_of(limits), ("spec",))


def check_limits(kind: str, spec: Any, at: FieldPath = ("spec",)) -> Iterator[Finding]:
    """Yield which fields of an object of Istio's API are too long, too large or empty."""
    if (root := _tree(kind)).inside:
        yield from _check(spec, root, at)


@cache
def _tree(kind: str) -> _Node:
    return _node_of(_KINDS.get(kind, {}))


def _node_of(limits: Limits) -> _Node:
    return _node([(tuple(path.split(".")), limit) for path, limit in limits.items()])


def _node(limits: Sequence[tuple[tuple[str, ...], Limit]]) -> _Node:
    """Put limits with the same first step together, and so on."""
    steps = dict.fromkeys(path[0] for path, _ in limits if path)
    return _Node(
        next((limit for path, limit in limits if not path), None),
        {
            step: _node([(path[1:], limit) for path, limit in limits if path[:1] == (step,)])
            for step in steps
        },
    )


def _check(value: Any, node: _Node, path: FieldPath) -> Iterator[Finding]:
    """``[]`` stands for each of a list, ``{}`` for each of a map."""
    if node.limit is not None and (problem := node.limit.problem(value)):
        yield Finding(path, problem)
    if isinstance(value, list) and (item := node.inside.get("[]")) is not None:
        for index, each in enumerate(value):
            yield from _check(each, item, (*path, index))
    elif isinstance(value, dict):
        for name, inside in node.inside.items():
            if name == "{}":
                for key, each in value.items():
                    yield from _check(each, inside, (*path, key))
            elif name in value:
                yield from _check(value[name], inside, (*path, name))
