"""Fields of Gateways and of policies of the Gateway API: who may attach, and what is deployed."""

from __future__ import annotations

from typing import Any

import pytest

from clew.config.parse import parse_documents, parse_manifest
from clew.model.base import Resource, ResourceKey
from clew.model.destination_rule import DestinationRule
from clew.model.gateway import Gateway, ServerTLSMode
from clew.model.gateway_api.duration import GatewayDuration
from clew.snapshot.findings import own_statuses
from clew.snapshot.gateway_api.deployment import deployed_gateways, gateway_manifests
from clew.snapshot.objects import index_objects
from clew.snapshot.snapshot import build_snapshot
from tests.corpora.gateway_worlds import roots, tls_secret
from tests.manifests import resources_of

proves = pytest.mark.proves
GROUP = "gateway.networking.k8s.io"
SPACES = """\
apiVersion: v1
kind: Namespace
metadata: {name: default, labels: {tier: front}}
---
apiVersion: v1
kind: Namespace
metadata: {name: other, labels: {tier: back}}
---
"""


def made(manifest: dict[str, Any]) -> Resource:
    found = parse_manifest(manifest).resource
    assert found is not None
    return found


def gateway(spec: str = "", listener: str = "", meta: str = "") -> str:
    return f"""
apiVersion: {GROUP}/v1
kind: Gateway
metadata: {{name: web, namespace: default{meta}}}
spec:
  gatewayClassName: istio
  listeners: [{{name: http, port: 80, protocol: HTTP{listener}}}]
  {spec}
---"""


def route_in(namespace: str) -> str:
    return f"""
apiVersion: {GROUP}/v1
kind: HTTPRoute
metadata: {{name: shop, namespace: {namespace}}}
spec: {{parentRefs: [{{name: web, namespace: default}}]}}
---"""


def listeners_of(namespace: str, group: str = GROUP) -> str:
    return f"""
apiVersion: {GROUP}/v1
kind: ListenerSet
metadata: {{name: more, namespace: {namespace}}}
spec:
  parentRef: {{group: {group}, kind: Gateway, name: web, namespace: default}}
  listeners: [{{name: more, port: 81, protocol: HTTP}}]
---"""


def accepted(text: str, kind: str, namespace: str) -> bool:
    status = own_statuses(build_snapshot(resources_of(SPACES + text)))
    name = {"HTTPRoute": "shop", "ListenerSet": "more"}[kind]
    found = status.get(ResourceKey(GROUP, kind, namespace, name), {})
    of_parents = (parent["conditions"] for parent in found.get("parents", ()))
    conditions = [*found.get("conditions", ()), *(c for each in of_parents for c in each)]
    return ("Accepted", "True") in {(c["type"], c["status"]) for c in conditions}


FROM = [
    ("from: All", True, True),
    ("from: Same", True, False),
    ("from: None", False, False),
    ("from: Selector, selector: {matchLabels: {tier: back}}", False, True),
    (
        "from: Selector, selector: {matchExpressions: [{key: tier, operator: Exists}]}",
        True,
        True,
    ),
    (
        "from: Selector, selector: {matchExpressions: [{key: tier, operator: In, values: [back]}]}",
        False,
        True,
    ),
    (
        "from: Selector, selector:"
        " {matchExpressions: [{key: tier, operator: NotIn, values: [back]}]}",
        True,
        False,
    ),
]


@proves(
    "RouteNamespaces.from=None",
    "LabelSelector.matchExpressions",
    "LabelSelectorRequirement.key",
    "LabelSelectorRequirement.operator",
    "LabelSelectorRequirement.values",
)
@pytest.mark.parametrize(("namespaces", "own", "other"), FROM)
def test_a_listener_takes_routes_of_namespaces(namespaces: str, own: bool, other: bool) -> None:
    text = gateway(listener=f", allowedRoutes: {{namespaces: {{{namespaces}}}}}")
    assert accepted(text + route_in("default"), "HTTPRoute", "default") is own
    assert accepted(text + route_in("other"), "HTTPRoute", "other") is other


@proves("ListenerNamespaces.from=Selector", "ListenerNamespaces.from=Same")
@proves("ListenerNamespaces.selector")
@pytest.mark.parametrize(("namespaces", "own", "other"), FROM)
def test_a_gateway_takes_listeners_of_namespaces(namespaces: str, own: bool, other: bool) -> None:
    text = gateway(f"allowedListeners: {{namespaces: {{{namespaces}}}}}")
    assert accepted(text + listeners_of("default"), "ListenerSet", "default") is own
    assert accepted(text + listeners_of("other"), "ListenerSet", "other") is other


@proves("ParentGatewayReference.group")
def test_listeners_are_added_to_gateways_only() -> None:
    text = gateway("allowedListeners: {namespaces: {from: All}}")
    assert accepted(text + listeners_of("other"), "ListenerSet", "other")
    foreign = listeners_of("other", group="example.com")
    assert not accepted(text + foreign, "ListenerSet", "other")


@proves("KubernetesGatewaySpec.infrastructure", "GatewayInfrastructure.labels")
@proves("GatewayInfrastructure.annotations")
def test_a_gateways_proxy_has_its_labels_and_annotations() -> None:
    spec = "infrastructure: {labels: {team: shop}, annotations: {note: hello}}"
    [deployed] = deployed_gateways(index_objects(resources_of(gateway(spec))))
    deployment, service = gateway_manifests(deployed)
    for manifest in (deployment, service):
        assert manifest["metadata"]["labels"]["team"] == "shop"
        assert manifest["metadata"]["annotations"] == {"note": "hello"}
    assert deployment["spec"]["template"]["metadata"]["labels"]["team"] == "shop"


@proves("FrontendTLSConfig.perPort", "TLSPortConfig.port", "TLSPortConfig.tls")
@proves("FrontendTLSConfig.default", "FrontendTLSValidation.mode=AllowInsecureFallback")
def test_each_port_may_verify_clients_in_its_own_way() -> None:
    strict = "{validation: {caCertificateRefs: [{kind: ConfigMap, group: '', name: roots}]}}"
    lenient = strict.replace("{validation: {", "{validation: {mode: AllowInsecureFallback, ")
    tls = "tls: {certificateRefs: [{name: cert}]}"
    text = f"""
apiVersion: {GROUP}/v1
kind: Gateway
metadata: {{name: web, namespace: default}}
spec:
  gatewayClassName: istio
  listeners:
  - {{name: a, port: 443, protocol: HTTPS, {tls}}}
  - {{name: b, port: 8443, protocol: HTTPS, {tls}}}
  tls: {{frontend: {{default: {strict}, perPort: [{{port: 8443, tls: {lenient}}}]}}}}
"""
    added = [made(tls_secret("cert", "default")), made(roots("roots", "default"))]
    snapshot = build_snapshot([*resources_of(text), *added])
    modes = {
        server.port.number: server.tls.mode
        for each in snapshot.gateway_api.objects.values()
        if isinstance(each, Gateway)
        for server in each.spec.servers
        if server.tls is not None
    }
    assert modes == {443: ServerTLSMode.MUTUAL, 8443: ServerTLSMode.OPTIONAL_MUTUAL}


def test_a_gateway_says_whether_it_lets_unverified_clients_in() -> None:
    def told(mode: str, before: str = "") -> list[tuple[str, str]]:
        authorities = "caCertificateRefs: [{kind: ConfigMap, group: '', name: roots}]"
        validation = f"{{default: {{validation: {{mode: {mode}, {authorities}}}}}}}"
        text = f"""
apiVersion: {GROUP}/v1
kind: Gateway
metadata: {{name: web, namespace: default}}
spec:
  gatewayClassName: istio
  listeners: [{{name: a, port: 443, protocol: HTTPS, tls: {{certificateRefs: [{{name: c}}]}}}}]
  tls: {{frontend: {validation}}}
status: {{conditions: [{before}]}}
"""
        snapshot = build_snapshot(resources_of(text))
        [status] = own_statuses(snapshot).values()
        kind = "InsecureFrontendValidationMode"
        return [(c["status"], c["reason"]) for c in status["conditions"] if c["type"] == kind]

    lenient = "{type: InsecureFrontendValidationMode, status: 'True', reason: ConfigurationChanged}"
    assert told("AllowInsecureFallback") == [("True", "ConfigurationChanged")]
    assert told("AllowValidOnly", before=lenient) == []


def policy(validation: str, target: str = "kind: Service, name: shop") -> DestinationRule:
    text = f"""
apiVersion: v1
kind: Service
metadata: {{name: shop, namespace: default}}
spec: {{ports: [{{name: http, port: 80}}, {{name: https, port: 443}}]}}
---
apiVersion: {GROUP}/v1
kind: BackendTLSPolicy
metadata: {{name: shop, namespace: default}}
spec:
  targetRefs: [{{group: "", {target}}}]
  validation: {{hostname: shop.example.com, {validation}}}
"""
    assert all(document.valid for document in parse_documents(text))
    found = build_snapshot([*resources_of(text), made(roots("roots", "default"))])
    [rule] = (r for r in found.gateway_api.objects.values() if isinstance(r, DestinationRule))
    return rule


SYSTEM = "wellKnownCACertificates: System"


@proves(
    "BackendTLSPolicyValidation.caCertificateRefs",
    "BackendTLSPolicyValidation.wellKnownCACertificates",
    "LocalObjectReference.group",
    "LocalObjectReference.kind",
    "LocalObjectReference.name",
)
def test_a_policy_names_the_authorities_of_a_backend() -> None:
    def credential(validation: str) -> str:
        traffic = policy(validation).spec.traffic_policy
        assert traffic is not None
        assert traffic.tls is not None
        return traffic.tls.credential_name

    reference = "caCertificateRefs: [{group: '', kind: ConfigMap, name: roots}]"
    assert credential(SYSTEM) == ""
    assert credential("wellKnownCACertificates: example.com/ours").endswith("invalid/")
    assert credential(reference).endswith("default/roots")
    for wrong in (
        reference.replace("'', kind", "example.com, kind"),
        reference.replace("ConfigMap", "Secret"),
        reference.replace("name: roots", "name: none"),
    ):
        assert credential(wrong).endswith("invalid/")


@proves(
    "BackendTLSPolicyValidation.subjectAltNames",
    "SubjectAltName.type=Hostname",
    "SubjectAltName.type=URI",
    "SubjectAltName.hostname",
    "SubjectAltName.uri",
)
def test_a_policy_names_who_a_backend_may_be() -> None:
    names = "[{type: Hostname, hostname: a.com}, {type: URI, uri: 'spiffe://b/c'}]"
    traffic = policy(f"{SYSTEM}, subjectAltNames: {names}").spec.traffic_policy
    assert traffic is not None
    assert traffic.tls is not None
    assert traffic.tls.subject_alt_names == ("a.com", "spiffe://b/c")


@proves("LocalPolicyTargetReference.sectionName")
def test_a_policy_may_be_for_one_port() -> None:
    rule = policy(SYSTEM, "kind: Service, name: shop, sectionName: https")
    traffic = rule.spec.traffic_policy
    assert traffic is not None
    assert traffic.tls is None
    [port] = traffic.port_level_settings
    assert port.port is not None
    assert (port.port.number, port.tls is None) == (443, False)


def test_a_backend_of_grpc_behind_tls_is_spoken_to_in_http2() -> None:
    def upgraded(target: str, port: str) -> list[tuple[int, bool]]:
        text = f"""
apiVersion: v1
kind: Service
metadata: {{name: calls, namespace: default}}
spec: {{ports: [{{name: calls, port: 443}}, {{name: grpc-tls, port: 444}}]}}
---
apiVersion: {GROUP}/v1
kind: BackendTLSPolicy
metadata: {{name: calls, namespace: default}}
spec:
  targetRefs: [{{group: "", kind: Service, name: calls{target}}}]
  validation: {{hostname: shop.example.com, {SYSTEM}}}
---
apiVersion: {GROUP}/v1
kind: GRPCRoute
metadata: {{name: calls, namespace: default}}
spec: {{rules: [{{backendRefs: [{{name: calls, port: {port}}}]}}]}}
"""
        found = build_snapshot(resources_of(text)).gateway_api.objects.values()
        [rule] = (each for each in found if isinstance(each, DestinationRule))
        assert rule.spec.traffic_policy is not None
        return [
            (each.port.number or 0, each.tls is not None and each.connection_pool is not None)
            for each in rule.spec.traffic_policy.port_level_settings
            if each.port is not None
        ]

    assert upgraded("", "443") == [(443, True)]
    assert upgraded(", sectionName: calls", "443") == [(443, True)]
    assert upgraded("", "444") == []
    assert upgraded(", sectionName: calls", "444") == [(443, False)]


@proves(
    "BackendTrafficPolicySpec.targetRefs",
    "BackendTrafficPolicySpec.retryConstraint",
    "RetryConstraint.budget",
    "RetryConstraint.minRetryRate",
    "BudgetDetails.percent",
    "BudgetDetails.interval",
    "RequestRate.count",
)
def test_a_policy_limits_the_retries_of_a_backend() -> None:
    text = """
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: XBackendTrafficPolicy
metadata: {name: shop, namespace: default}
spec:
  targetRefs: [{group: "", kind: Service, name: shop}]
  retryConstraint:
    budget: {percent: 30, interval: 7s}
    minRetryRate: {count: 4, interval: 1s}
"""
    found = build_snapshot(resources_of(text)).gateway_api.objects.values()
    [rule] = (each for each in found if isinstance(each, DestinationRule))
    assert rule.spec.host == "shop.default.svc.cluster.local"
    assert rule.spec.traffic_policy is not None
    budget = rule.spec.traffic_policy.retry_budget
    assert budget is not None
    assert budget.percent == 30.0
    assert budget.budget_interval == GatewayDuration.parse("7s")
    assert budget.min_retry_concurrency == 4
