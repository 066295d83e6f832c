"""The CRDs' rules for GatewayClass, Gateway and ListenerSet."""

from __future__ import annotations

from typing import Any

import pytest

from tests.config.gateway_api import wrong_fields

HTTP = {"name": "web", "port": 80, "protocol": "HTTP"}
CERTIFICATE = {"certificateRefs": [{"name": "cert"}]}


def gateway(*listeners: dict[str, Any], **more: Any) -> list[str]:
    spec = {"gatewayClassName": "istio", "listeners": list(listeners or (HTTP,)), **more}
    return wrong_fields("Gateway", spec)


def listener(**fields: Any) -> list[str]:
    prefix = "spec.listeners[0]"
    return [field.removeprefix(prefix) for field in gateway({**HTTP, **fields})]


def test_a_plain_gateway_is_fine() -> None:
    assert gateway() == []


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": "Web_1"}, [".name"]),
        ({"hostname": "not a host"}, [".hostname"]),
        ({"hostname": ""}, [".hostname"]),
        ({"hostname": "*.example.com"}, []),
        ({"hostname": "a.*.example.com"}, [".hostname"]),
        ({"port": 0}, [".port"]),
        ({"port": 65536}, [".port"]),
        ({"protocol": "example.com/mine"}, []),
        ({"protocol": "ex ample"}, [".protocol"]),
        ({"protocol": "Example.COM"}, [".protocol"]),
        ({"protocol": "Example.com/mine"}, []),
        ({"protocol": "/mine"}, [".protocol"]),
        ({"tls": CERTIFICATE}, [".tls"]),
        ({"protocol": "http", "tls": CERTIFICATE}, [".tls"]),
        ({"protocol": "TCP", "hostname": "a.b"}, [".hostname"]),
        ({"protocol": "UDP", "hostname": "a.b"}, [".hostname"]),
        ({"protocol": "TLS"}, [".tls"]),
        ({"protocol": "TLS", "tls": {"mode": "Passthrough"}}, []),
        ({"protocol": "HTTPS"}, []),
        ({"protocol": "HTTPS", "tls": CERTIFICATE}, []),
        ({"protocol": "HTTPS", "tls": {}}, [".tls"]),
        ({"protocol": "HTTPS", "tls": {"options": {"example.com/a": "b"}}}, []),
        ({"protocol": "HTTPS", "tls": {"mode": "Passthrough"}}, [".tls.mode"]),
        ({"protocol": "HTTPS", "tls": {"mode": "Mutual"}}, [".tls.mode"]),
        (
            {"protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "a", "namespace": "A"}]}},
            [".tls.certificateRefs[0].namespace"],
        ),
        ({"allowedRoutes": {"namespaces": {"from": "None"}}}, [".allowedRoutes.namespaces.from"]),
        ({"allowedRoutes": {"kinds": [{"kind": "a/b"}]}}, [".allowedRoutes.kinds[0].kind"]),
        ({"allowedRoutes": {"kinds": [{"kind": "A"}] * 9}}, [".allowedRoutes.kinds"]),
    ],
)
def test_a_listener_keeps_the_rules_of_its_protocol(
    fields: dict[str, Any], wrong: list[str]
) -> None:
    assert listener(**fields) == wrong


def test_listeners_differ_in_name_and_in_port_protocol_and_hostname() -> None:
    other = {"name": "other", "port": 80, "protocol": "HTTP"}
    assert gateway(HTTP, {**other, "name": "web", "port": 81}) == ["spec.listeners[1].name"]
    assert gateway(HTTP, other) == ["spec.listeners[1]"]
    assert gateway(HTTP, {**other, "hostname": "a.b"}) == []
    assert gateway(HTTP, {**other, "protocol": "HTTPS", "tls": CERTIFICATE}) == []


def test_a_gateway_has_1_to_64_listeners_unless_others_add_theirs() -> None:
    many = [{**HTTP, "name": f"l{port}", "port": port} for port in range(1, 66)]
    assert gateway(*many) == ["spec.listeners"]
    spec: dict[str, Any] = {"gatewayClassName": "istio", "listeners": []}
    assert wrong_fields("Gateway", spec) == ["spec.listeners"]
    spec["allowedListeners"] = {"namespaces": {"from": "All"}}
    assert wrong_fields("Gateway", spec) == []


@pytest.mark.parametrize(
    ("addresses", "wrong"),
    [
        ([{"value": "1.2.3.4"}, {"value": "2001:db8::1"}], []),
        ([{"type": "IPAddress"}], []),
        ([{"value": "1.2.3.4:80"}], ["spec.addresses[0].value"]),
        ([{"value": "1.2.3.0/24"}], ["spec.addresses[0].value"]),
        ([{"type": "Hostname", "value": "a.b"}], []),
        ([{"type": "Hostname", "value": "a b"}], ["spec.addresses[0].value"]),
        ([{"value": "1.2.3.4"}, {"value": "1.2.3.4"}], ["spec.addresses[1]"]),
        ([{"type": "Hostname", "value": "a"}] * 2, ["spec.addresses[1]"]),
        ([{"type": "example.com/mine", "value": "any thing"}] * 2, []),
        ([{"type": "mine"}], ["spec.addresses[0].type"]),
        ([{"type": "Hostname"}] * 17, ["spec.addresses"]),
    ],
)
def test_addresses_are_of_their_type_and_there_once(
    addresses: list[dict[str, Any]], wrong: list[str]
) -> None:
    assert gateway(addresses=addresses) == wrong


@pytest.mark.parametrize(
    ("infrastructure", "wrong"),
    [
        ({"labels": {"a.b/c": "d"}, "annotations": {"a/b": "any value"}}, []),
        ({"labels": {"a b": "c"}}, ["labels"]),
        ({"labels": {"a" * 253 + "/b": "c"}}, ["labels"]),
        ({"labels": {"a": "b c"}}, ["labels.a"]),
        ({"labels": {f"l{index}": "" for index in range(9)}}, ["labels"]),
        ({"annotations": {"a b": "c"}}, ["annotations"]),
        ({"annotations": {"a": "b" * 4097}}, ["annotations.a"]),
        ({"parametersRef": {"group": "", "kind": "ConfigMap", "name": "a"}}, []),
        ({"parametersRef": {"group": "", "kind": "", "name": "a"}}, ["parametersRef.kind"]),
    ],
)
def test_labels_and_annotations_of_infrastructure_are_those_of_kubernetes(
    infrastructure: dict[str, Any], wrong: list[str]
) -> None:
    expected = [f"spec.infrastructure.{field}" for field in wrong]
    assert gateway(infrastructure=infrastructure) == expected


def test_certificates_of_clients_are_verified_by_one_to_eight_authorities() -> None:
    ca = {"group": "", "kind": "ConfigMap", "name": "ca"}
    good = {"validation": {"caCertificateRefs": [ca]}}
    assert gateway(tls={"frontend": {"default": good}}) == []
    none: dict[str, Any] = {"validation": {"caCertificateRefs": []}}
    at = "spec.tls.frontend.default.validation.caCertificateRefs"
    assert gateway(tls={"frontend": {"default": none}}) == [at]
    many = {"validation": {"caCertificateRefs": [ca] * 9}}
    assert gateway(tls={"frontend": {"default": many}}) == [at]
    ports = [{"port": 443, "tls": good}, {"port": 443, "tls": {}}, {"port": 0, "tls": {}}]
    assert gateway(tls={"frontend": {"default": {}, "perPort": ports}}) == [
        "spec.tls.frontend.perPort[2].port",
        "spec.tls.frontend.perPort[1].port",
    ]
    client = {"clientCertificateRef": {"name": ""}}
    assert gateway(tls={"backend": client}) == ["spec.tls.backend.clientCertificateRef.name"]


def test_a_class_names_its_controller_by_domain_and_path() -> None:
    assert wrong_fields("GatewayClass", {"controllerName": "istio.io/gateway-controller"}) == []
    wrong = {"controllerName": "istio", "description": "a" * 65}
    assert wrong_fields("GatewayClass", wrong) == ["spec.controllerName", "spec.description"]
    missing = {"controllerName": "a.b/c", "parametersRef": {"group": "a", "kind": "B", "name": ""}}
    assert wrong_fields("GatewayClass", missing) == ["spec.parametersRef.name"]


def test_a_listener_set_has_the_rules_of_listeners_whatever_the_case_of_protocols() -> None:
    listeners = [HTTP, {"name": "again", "port": 80, "protocol": "http"}]
    spec = {"parentRef": {"name": "edge"}, "listeners": listeners}
    assert wrong_fields("ListenerSet", spec) == ["spec.listeners[1]"]
    assert wrong_fields("ListenerSet", {**spec, "listeners": [HTTP]}) == []
    assert wrong_fields("ListenerSet", {**spec, "listeners": []}) == ["spec.listeners"]
    spec = {"parentRef": {"name": "edge", "namespace": "A"}, "listeners": [HTTP]}
    assert wrong_fields("ListenerSet", spec) == ["spec.parentRef.namespace"]
