"""What becomes of a text: resources, or every problem with its place."""

from __future__ import annotations

from typing import Any

import pytest

from clew.config.parse import parse_documents, parse_manifest, parse_mesh_config
from clew.model.destination_rule import DestinationRule
from clew.model.peer_authentication import PeerAuthentication
from clew.model.request_authentication import RequestAuthentication
from clew.model.virtual_service import VirtualService


def manifest(kind: str, spec: dict[str, Any], group: str = "networking.istio.io") -> dict[str, Any]:
    return {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": "a"}, "spec": spec}


def test_consecutive_5xx_errors_is_spelt_as_istio_spells_it() -> None:
    policy = {"outlierDetection": {"consecutive5xxErrors": 3}}
    rule = parse_manifest(manifest("DestinationRule", {"host": "a", "trafficPolicy": policy}))
    assert isinstance(rule.resource, DestinationRule)
    traffic = rule.resource.spec.traffic_policy
    assert traffic is not None
    assert traffic.outlier_detection is not None
    assert traffic.outlier_detection.consecutive_5xx_errors == 3


def test_the_two_fields_that_istio_takes_in_snake_case_are_taken() -> None:
    route = {"route": [{"destination": {"host": "a"}}], "mirror_percent": 5}
    service = parse_manifest(manifest("VirtualService", {"hosts": ["a"], "http": [route]}))
    assert isinstance(service.resource, VirtualService)
    assert service.resource.spec.http[0].mirror_percent == 5
    rules = {"jwtRules": [{"issuer": "i", "jwks_uri": "https://a/keys"}]}
    tokens = parse_manifest(manifest("RequestAuthentication", rules, "security.istio.io"))
    assert isinstance(tokens.resource, RequestAuthentication)
    assert tokens.resource.spec.jwt_rules[0].jwks_uri == "https://a/keys"


def test_a_name_that_would_leave_its_directory_is_refused() -> None:
    for name in ("../../etc", "a/b", "A", "-a", "a..b", ".", "a" * 254):
        service = manifest("VirtualService", {"hosts": ["a"]}) | {"metadata": {"name": name}}
        assert "metadata.name" in {d.place.field for d in parse_manifest(service).diagnostics}
    service = manifest("VirtualService", {"hosts": ["a"]})
    service["metadata"] = {"name": "reviews.v1", "namespace": "../x"}
    assert "metadata.namespace" in {d.place.field for d in parse_manifest(service).diagnostics}


def test_every_structural_error_is_reported_with_line_and_field() -> None:
    text = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec:
  hosts: [a]
  http:
  - retries:
      per_try_timeout: 1s
      attempts: many
    timeout: soon
    route:
    - destination: {port: {number: 80}}
"""
    (document,) = parse_documents(text, "a.yaml")
    found = {(d.place.field, d.place.line) for d in document.diagnostics}
    assert found == {
        ("spec.http[0].retries.per_try_timeout", 8),
        ("spec.http[0].retries.attempts", 9),
        ("spec.http[0].timeout", 10),
        ("spec.http[0].route[0].destination", 12),
    }
    hints = [d.hint for d in document.diagnostics]
    assert 'did you mean "perTryTimeout"?' in hints


def test_a_document_that_is_not_yaml_does_not_hide_the_next_one() -> None:
    bad, good = parse_documents(
        "a: [\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n", "f"
    )
    assert not bad.valid
    assert good.valid


def test_a_list_is_taken_apart_and_keeps_places() -> None:
    text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespaces}\n"
    (document,) = parse_documents(text, "f")
    assert document.diagnostics[0].place.line == 4
    assert document.diagnostics[0].hint == 'did you mean "Namespace"?'


def test_numbers_as_keys_are_texts() -> None:
    text = """\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: a}
spec: {selector: {matchLabels: {app: a}}, portLevelMtls: {8080: {mode: STRICT}}}
"""
    (document,) = parse_documents(text)
    assert isinstance(document.resource, PeerAuthentication)
    assert list(document.resource.spec.port_level_mtls) == ["8080"]


def test_a_key_that_is_no_text_is_explained() -> None:
    (document,) = parse_documents("a: {{ .Values.a }}\n", "f")
    said = "a key must be text; a template has to be rendered first"
    assert [(d.problem, d.place.line) for d in document.diagnostics] == [(said, 1)]


def test_mesh_config_is_held_to_istios_rules() -> None:
    mesh, diagnostics = parse_mesh_config("connectTimeout: 2h\ntrustDomain: a..b\n", "mesh.yaml")
    assert mesh.connect_timeout.seconds == 7200
    assert [(d.place.field, d.place.line) for d in diagnostics] == [
        ("connectTimeout", 1),
        ("trustDomain", 2),
    ]


def test_an_address_that_ends_with_colons_needs_no_quotes() -> None:
    text = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec:
  hosts: [a.b]
  addresses: [1.2.3.4, 2001:db8::, fe80::]
  ports: [{number: 80, name: http, protocol: QUICK}]
"""
    (document,) = parse_documents(text)
    assert document.manifest["spec"]["addresses"] == ["1.2.3.4", "2001:db8::", "fe80::"]
    assert [(d.place.field, d.place.line) for d in document.diagnostics] == [
        ("spec.ports[0].protocol", 7)
    ]


def test_null_is_as_good_as_nothing_in_an_object_that_is_decoded_already() -> None:
    service = manifest("VirtualService", {"hosts": ["a"], "gateways": None, "http": None})
    assert [d.place.field for d in parse_manifest(service).diagnostics] == ["spec"]


def test_an_object_that_is_too_deep_is_refused() -> None:
    deep: Any = "a"
    for _ in range(70):
        deep = {"a": deep}
    (problem,) = parse_manifest(manifest("VirtualService", deep)).diagnostics
    assert "64 levels" in problem.problem


@pytest.mark.parametrize(
    ("kind", "problem", "hint"),
    [
        ("VirtualServce", 'unknown kind "VirtualServce"', 'did you mean "VirtualService"?'),
        ("PersistentVolumeClaim", 'unknown kind "PersistentVolumeClaim"', "leave the document out"),
        ("[VirtualService]", "expected text", ""),
        ("", 'the field "kind" is missing', ""),
    ],
)
def test_what_is_wrong_with_a_kind_is_explained(kind: str, problem: str, hint: str) -> None:
    text = f"apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: a}}\n"
    (document,) = parse_documents(text, "f")
    (found,) = document.diagnostics
    assert found.problem == problem
    assert hint in found.hint


@pytest.mark.parametrize(
    ("port", "problem"),
    [
        ("{port: -1}", "expected a number from 1 to 65535, got -1"),
        ("{port: 65536}", "expected a number from 1 to 65535, got 65536"),
        ("{port: 80, targetPort: 70000}", "expected a number from 0 to 65535, got 70000"),
        (f"{{port: {2**70}}}", f"expected a number from 1 to 65535, got {2**70}"),
    ],
)
def test_a_port_that_there_is_not_is_refused(port: str, problem: str) -> None:
    """Envoy's messages have no room for it, and nobody's proxy is to be without its neighbours."""
    service = f"apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec: {{ports: [{port}]}}\n"
    [document] = parse_documents(service)
    assert [each.problem for each in document.diagnostics] == [problem]


def test_fields_may_have_their_names_in_protobuf_as_istios_documentation_has_them() -> None:
    read, diagnostics = parse_mesh_config("""
        extensionProviders:
        - name: otel
          opentelemetry: {service: a.ns.svc, port: 1, resource_detectors: {environment: {}}}
        default_config: {proxy_metadata: {A_b: "1"}}
        """)
    assert diagnostics == ()
    provider = read.extension_providers[0].opentelemetry
    assert provider is not None
    assert provider.resource_detectors is not None
    assert read.default_config is not None
    assert read.default_config.proxy_metadata == {"A_b": "1"}
    _, diagnostics = parse_mesh_config("{enable_tracing: true, enableTracing: true}")
    assert [each.place.field for each in diagnostics] == ["enable_tracing"]
