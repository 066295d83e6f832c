"""Fields that have no effect in clew: whoever sets one is told, and what happens instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

import msgspec

from clew.config.finding import FieldPath, Finding

_NO_AMBIENT = "there is no ambient mode"
_NO_WAYPOINTS = "there are no waypoints; the patch matches nothing"
_TELEMETRY = "nothing is sent there: metrics are read, and providers get logs and traces"
_NO_TRACES = "traces go to OpenTelemetry and Zipkin only"
_NO_LOG_SERVICE = "name a provider envoyHttpAls in a Telemetry instead"
_AS_IN_ISTIO = "ignored, as Istio does"
_NO_SESSIONS = f"{_AS_IN_ISTIO}: each request may go to another endpoint"
_NO_DEFAULT_GATEWAYS = "there are no default gateways; name the parents in parentRefs"
_REFUSED_ROUTE = "the route is refused in its status, as in Istio"

# By "Class.field", with the class of clew.model and the field's name in YAML. A message that is
# not supported stands for all fields in it. docs/compatibility.md shows the same words.
UNSUPPORTED: Mapping[str, str] = {
    "MeshConfig.hboneIdleTimeout": _NO_AMBIENT,
    "MeshConfig.serviceScopeConfigs": f"it is about ambient mode: {_NO_AMBIENT}",
    "MeshConfig.serviceSettings": "no effect in a mesh of one cluster",
    "MeshConfig.configSources": "ignored: configuration comes from the mesh's own store",
    "MeshConfig.verifyCertificateAtClient": f"{_AS_IN_ISTIO}: servers are always verified",
    "MeshConfig.certificates": f"{_AS_IN_ISTIO}: none are made",
    "MeshConfig.ca": "certificates are signed by the mesh's own authority only",
    "MeshConfig.enableEnvoyAccessLogService": _NO_LOG_SERVICE,
    **dict.fromkeys(
        (
            "ExtensionProvider.lightstep",
            "ExtensionProvider.datadog",
            "ExtensionProvider.stackdriver",
            "ExtensionProvider.opencensus",
            "ExtensionProvider.skywalking",
        ),
        _NO_TRACES,
    ),
    "ExtensionProvider.sds": "not in force yet: certificates come from the control plane only",
    "CertificateData.spiffeBundleUrl": "nothing is fetched: give the roots themselves, as pem",
    "CertificateData.certSigners": (
        "it is about Kubernetes' certificate signing, which there is none of"
    ),
    "IstioNetworkGateway.locality": "ignored: what is behind a gateway keeps its own locality",
    "MeshProxyConfig.configPath": "ignored: the agent has a private directory of its own",
    "MeshProxyConfig.binaryPath": "ignored: clew brings its Envoy",
    "MeshProxyConfig.customConfigFile": "ignored: patch the bootstrap by an EnvoyFilter",
    "MeshProxyConfig.proxyBootstrapTemplatePath": "ignored: patch the bootstrap by an EnvoyFilter",
    "MeshProxyConfig.discoveryRefreshDelay": f"{_AS_IN_ISTIO}: configuration is pushed",
    "MeshProxyConfig.availabilityZone": f"{_AS_IN_ISTIO}: the locality comes from labels",
    "MeshProxyConfig.statNameLength": "ignored: Envoy has no such limit any more",
    "MeshProxyConfig.proxyAdminPort": (
        "ignored: Envoy's admin interface is a socket that only its user can open"
    ),
    "MeshProxyConfig.caCertificatesPem": "ignored: workloads trust the mesh's own authority",
    "ProxyTracing.lightstep": _NO_TRACES,
    "ProxyTracing.datadog": _NO_TRACES,
    "ProxyTracing.stackdriver": _NO_TRACES,
    "ProxyTracing.openCensusAgent": _NO_TRACES,
    "ProxyTracing.tlsSettings": "ignored: a DestinationRule says how the collector is reached",
    "OpenTelemetryTracingProvider.serviceAttributeEnrichment": (
        "spans have the service's name only, and Istio's tags"
    ),
    "OpenTelemetryTracingProvider.dynatraceSampler": "spans are sampled by percentage only",
    "ResourceDetectors.dynatrace": "spans name their workload by its environment only",
    "Metrics.reportingInterval": (
        "ignored: requests are counted at once, and a connection's bytes when it ends"
    ),
    "MetricSelector.customMetric": "there are no metrics but Istio's standard ones",
    "MeshProxyConfig.sds": f"{_AS_IN_ISTIO}: proxies always get certificates by SDS",
    "MeshProxyConfig.zipkinAddress": _TELEMETRY,
    "MeshProxyConfig.statsdUdpAddress": _TELEMETRY,
    "MeshProxyConfig.extraStatTags": "there are none: a Telemetry gives tags to metrics",
    "MeshProxyConfig.envoyMetricsServiceAddress": _TELEMETRY,
    "MeshProxyConfig.envoyMetricsService": _TELEMETRY,
    "MeshProxyConfig.envoyAccessLogService": _TELEMETRY,
    "MeshProxyConfig.privateKeyProvider": (
        "the Envoy of clew has neither CryptoMb nor QAT, which are contrib extensions; keys are "
        "used without them"
    ),
    "MeshProxyConfig.image": "ignored: proxies are processes, not images",
    "ProxyConfigSpec.image": "ignored: proxies are processes, not images",
    "LoadBalancerSettings.backendUtilization": (
        "accepted without effect, as in Istio: requests go to the less busy of two endpoints"
    ),
    "L4MatchAttributes.sourceSubnet": f"{_AS_IN_ISTIO}: the route is for clients of any address",
    "Server.defaultEndpoint": f"{_AS_IN_ISTIO}: routes say where requests go",
    "TLSCertificate.caCertificates": f"{_AS_IN_ISTIO}: the server's own caCertificates count",
    "ListenerMatch.portName": f"{_AS_IN_ISTIO}: the patch is for ports of any name",
    "EnvoyConfigObjectMatch.waypoint": _NO_WAYPOINTS,
    "JWTRule.presence": (
        "accepted without effect, as in Istio: requests without a token pass, unless an "
        "AuthorizationPolicy says otherwise"
    ),
    "GatewayClassSpec.parametersRef": "accepted without effect, as in Istio",
    "GatewayInfrastructure.parametersRef": (
        "accepted without effect; Istio merges a ConfigMap's Deployment into the gateway's"
    ),
    "KubernetesGatewaySpec.defaultScope": _NO_DEFAULT_GATEWAYS,
    "HTTPRouteSpec.useDefaultGateways": _NO_DEFAULT_GATEWAYS,
    "GRPCRouteSpec.useDefaultGateways": _NO_DEFAULT_GATEWAYS,
    "TLSRouteSpec.useDefaultGateways": _NO_DEFAULT_GATEWAYS,
    "TCPRouteSpec.useDefaultGateways": _NO_DEFAULT_GATEWAYS,
    "UDPRouteSpec.useDefaultGateways": _NO_DEFAULT_GATEWAYS,
    "HTTPRouteRule.sessionPersistence": _NO_SESSIONS,
    "GRPCRouteRule.sessionPersistence": _NO_SESSIONS,
    "HTTPRouteFilter.externalAuth": _REFUSED_ROUTE,
    "HTTPRouteFilter.extensionRef": _REFUSED_ROUTE,
    "GRPCRouteFilter.extensionRef": _REFUSED_ROUTE,
    "PolicyTargetReference.namespace": (
        "ignored: a policy's target is in its own namespace, as in Istio"
    ),
    "BackendTLSPolicySpec.options": "accepted without effect, as in Istio",
    "BackendTrafficPolicySpec.sessionPersistence": f"{_NO_SESSIONS}; the policy's status says so",
    "RequestRate.interval": (
        f"{_AS_IN_ISTIO}: Envoy has a number of retries at once, and no rate of them"
    ),
}


@dataclass(frozen=True, slots=True)
class _Step:
    """A field of a message: ``why`` it is not supported, or "" if only something in it is not."""

    attribute: str
    name: str
    default: Any
    why: str


def check_support(value: Any, path: FieldPath = ()) -> Iterator[Finding]:
    """Yield a warning for each field in a message that is set and has no effect."""
    if isinstance(value, tuple | dict):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from check_support(each, (*path, key))
        return
    kind: type = type(value)
    for step in _steps(kind):
        inner = getattr(value, step.attribute)
        if inner is None or inner == step.default:
            continue
        if step.why:
            yield Finding((*path, step.name), f"not supported: {step.why}", "", warning=True)
        else:
            yield from check_support(inner, (*path, step.name))


@cache
def _steps(kind: type) -> tuple[_Step, ...]:
    """Return the fields of a message in which something is not supported; mostly none."""
    if not issubclass(kind, msgspec.Struct):
        return ()
    return tuple(
        _Step(field.name, field.encode_name, _default(field), why)
        for field in msgspec.structs.fields(kind)
        if (why := UNSUPPORTED.get(f"{kind.__name__}.{field.encode_name}", ""))
        or any(_steps(each) for each in _types(field.type))
    )


def _default(field: msgspec.structs.FieldInfo) -> Any:
    made = field.default_factory
    return field.default if made is msgspec.NODEFAULT else made()


def _types(annotation: Any) -> Iterator[type]:
    """Yield the types that an annotation such as ``tuple[HTTPRoute, ...] | None`` names."""
    if isinstance(annotation, type):
        yield annotation
    for each in get_args(annotation):
        yield from _types(each)
