"""The CRDs' rules for ReferenceGrant, BackendTLSPolicy, XBackendTrafficPolicy and XBackend."""

from __future__ import annotations

from typing import Any

import pytest

from tests.config.gateway_api import wrong_fields

TARGET = {"group": "", "kind": "Service", "name": "reviews"}
X = "gateway.networking.x-k8s.io/v1alpha1"


def tls_policy(**fields: Any) -> list[str]:
    validation = {"hostname": "a.b", "wellKnownCACertificates": "System"}
    return wrong_fields(
        "BackendTLSPolicy", {"targetRefs": [TARGET], "validation": validation, **fields}
    )


def validation(**fields: Any) -> list[str]:
    found = tls_policy(validation={"hostname": "a.b", **fields})
    return [field.removeprefix("spec.validation") for field in found]


def test_a_grant_says_from_where_to_what() -> None:
    who = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "a"}
    what = {"group": "", "kind": "Service"}
    assert wrong_fields("ReferenceGrant", {"from": [who], "to": [what]}) == []
    assert wrong_fields("ReferenceGrant", {"from": [], "to": [what]}) == ["spec.from"]
    assert wrong_fields("ReferenceGrant", {"from": [who] * 17, "to": [what]}) == ["spec.from"]
    assert wrong_fields("ReferenceGrant", {"from": [who], "to": [{**what, "name": ""}]}) == [
        "spec.to[0].name"
    ]
    assert wrong_fields("ReferenceGrant", {"from": [{**who, "namespace": "A"}], "to": [what]}) == [
        "spec.from[0].namespace"
    ]
    assert wrong_fields("ReferenceGrant", {"from": [who]}) == ["spec"]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"wellKnownCACertificates": "System"}, []),
        ({"wellKnownCACertificates": "example.com/Mine"}, []),
        ({"wellKnownCACertificates": "Mine"}, [".wellKnownCACertificates"]),
        ({}, [""]),
        ({"caCertificateRefs": []}, [""]),
        ({"caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "ca"}]}, []),
        (
            {
                "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "ca"}],
                "wellKnownCACertificates": "System",
            },
            [""],
        ),
        ({"hostname": "*.a.b", "wellKnownCACertificates": "System"}, [".hostname"]),
    ],
)
def test_certificates_of_backends_are_verified_by_one_kind_of_authority(
    fields: dict[str, Any], wrong: list[str]
) -> None:
    assert validation(**fields) == wrong


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ({"type": "Hostname", "hostname": "*.a.b"}, []),
        ({"type": "URI", "uri": "spiffe://cluster.local/ns/a/sa/b"}, []),
        ({"type": "Hostname"}, [""]),
        ({"type": "URI", "hostname": "a"}, ["", ".hostname"]),
        ({"type": "URI", "uri": "a.b"}, [".uri"]),
        ({"type": "Hostname", "hostname": "a", "uri": "a://b"}, [".uri"]),
        ({"type": "Hostname", "hostname": "A"}, [".hostname"]),
    ],
)
def test_a_name_of_a_certificate_is_of_its_type(name: dict[str, str], wrong: list[str]) -> None:
    found = validation(subjectAltNames=[name], wellKnownCACertificates="System")
    assert found == [f".subjectAltNames[0]{field}" for field in wrong]


def test_a_policy_names_its_targets_once() -> None:
    assert tls_policy(targetRefs=[]) == ["spec.targetRefs"]
    assert tls_policy(targetRefs=[TARGET, {**TARGET, "name": "other"}]) == []
    assert tls_policy(targetRefs=[TARGET, TARGET]) == ["spec.targetRefs[1]"]
    section = {**TARGET, "sectionName": "a"}
    assert tls_policy(targetRefs=[section, {**section, "sectionName": "b"}]) == []
    assert tls_policy(targetRefs=[section, section]) == ["spec.targetRefs[1]"]
    assert tls_policy(targetRefs=[section, TARGET]) == ["spec.targetRefs[1]"]
    assert tls_policy(options={f"o{index}": "" for index in range(17)}) == ["spec.options"]


def traffic_policy(**fields: Any) -> list[str]:
    return wrong_fields("XBackendTrafficPolicy", {"targetRefs": [TARGET], **fields}, X)


def test_a_retry_budget_is_a_percentage_over_a_second_to_an_hour() -> None:
    at = "spec.retryConstraint"
    assert traffic_policy(retryConstraint={}) == []
    assert traffic_policy(retryConstraint={"budget": {"percent": 101}}) == [f"{at}.budget.percent"]
    for interval in ("1ms", "2h"):
        found = traffic_policy(retryConstraint={"budget": {"interval": interval}})
        assert found == [f"{at}.budget.interval"]
    for interval in ("0s", "61m"):
        found = traffic_policy(retryConstraint={"minRetryRate": {"interval": interval}})
        assert found == [f"{at}.minRetryRate.interval"]
    found = traffic_policy(retryConstraint={"minRetryRate": {"count": 0}})
    assert found == [f"{at}.minRetryRate.count"]
    assert traffic_policy(targetRefs=[{**TARGET, "sectionName": "a"}]) == [
        "spec.targetRefs[0].sectionName"
    ]
    assert traffic_policy(sessionPersistence={"header": {"name": "a"}}) == [
        "spec.sessionPersistence.header"
    ]


def backend(**fields: Any) -> list[str]:
    spec = {
        "type": "ExternalHostname",
        "port": {"number": 443},
        "externalHostname": {"hostname": "a.b"},
    }
    return wrong_fields("XBackend", {**spec, **fields}, X)


def test_a_backend_is_a_host_outside_or_a_choice_of_pods() -> None:
    assert backend() == []
    pods = {"endpointSelector": {"matchLabels": {"app": "a"}}}
    assert backend(**pods) == ["spec"]
    selected = {"type": "EndpointSelector", "port": {"number": 80}, **pods}
    assert wrong_fields("XBackend", selected, X) == []
    empty = {**selected, "endpointSelector": {"matchLabels": {}}}
    assert wrong_fields("XBackend", empty, X) == ["spec.endpointSelector.matchLabels"]
    assert backend(externalHostname={"hostname": "a.svc.cluster.local"}) == [
        "spec.externalHostname.hostname"
    ]
    assert backend(port={}) == ["spec.port"]
    assert backend(port={"number": 0}) == ["spec.port.number"]


def test_the_protocol_of_a_backend_says_whether_it_has_tls() -> None:
    server_only = {"mode": "ServerOnly"}
    assert backend(protocol="HTTP2", tls=server_only) == []
    assert backend(protocol="HTTP2") == ["spec.tls"]
    assert backend(protocol="WSS") == ["spec.tls"]
    assert backend(protocol="H2C", tls=server_only) == ["spec.tls"]
    assert backend(tls={"mode": "ClientAndServer"}) == ["spec.tls"]
    client = {"mode": "ClientAndServer", "clientCertificateRef": {"name": "a"}}
    assert backend(tls=client) == []
    assert backend(tls={**server_only, "validation": {"hostname": "a"}}) == ["spec.tls.validation"]
