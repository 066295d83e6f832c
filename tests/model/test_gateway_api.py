"""The Gateway API's kinds have the defaults of its CRDs, and its own grammar of durations."""

import pytest

from clew.config.parse import parse_documents
from clew.model.gateway_api.duration import GatewayDuration
from clew.model.gateway_api.gateway import KubernetesGateway
from clew.model.gateway_api.http_route import KubernetesHTTPRoute, PathMatchType
from clew.model.gateway_api.listener import FromNamespaces, TLSModeType


def test_a_gateway_reads_as_its_defaults_fill_it() -> None:
    (document,) = parse_documents("""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  gatewayClassName: istio
  listeners:
  - {name: web, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}
""")
    assert isinstance(document.resource, KubernetesGateway)
    spec = document.resource.spec
    listener = spec.listeners[0]
    assert listener.allowed_routes.namespaces.from_ is FromNamespaces.SAME
    assert spec.allowed_listeners.namespaces.from_ is FromNamespaces.NONE
    assert listener.tls is not None
    assert listener.tls.mode is TLSModeType.TERMINATE
    reference = listener.tls.certificate_refs[0]
    assert (reference.group, reference.kind, reference.namespace) == ("", "Secret", None)


def test_a_route_without_rules_matches_every_path() -> None:
    (document,) = parse_documents("""
apiVersion: gateway.networking.k8s.io/v1beta1
kind: HTTPRoute
metadata: {name: all, namespace: default}
spec: {parentRefs: [{name: edge}]}
""")
    assert isinstance(document.resource, KubernetesHTTPRoute)
    spec = document.resource.spec
    assert spec.rules[0].matches[0].path.type is PathMatchType.PATH_PREFIX
    assert spec.rules[0].matches[0].path.value == "/"
    assert spec.parent_refs[0].kind == "Gateway"


@pytest.mark.parametrize(("text", "seconds"), [("1h30m", 5400.0), ("500ms", 0.5), ("0s", 0.0)])
def test_a_duration_is_whole_numbers_with_units(text: str, seconds: float) -> None:
    assert GatewayDuration.parse(text).seconds == seconds


@pytest.mark.parametrize("text", ["1.5s", "-1s", "100us", "1s2s3s4s5s", "100000s", "0", "", "5"])
def test_other_durations_of_go_are_none_of_the_gateway_api(text: str) -> None:
    with pytest.raises(ValueError, match="Gateway API"):
        GatewayDuration.parse(text)
