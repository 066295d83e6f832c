"""Istio's admission rules for Gateway."""

from __future__ import annotations

from typing import Any

import pytest

from tests.config.admission import errors, warnings

HTTP = {"number": 80, "name": "http", "protocol": "HTTP"}
HTTPS = {"number": 443, "name": "https", "protocol": "HTTPS"}
FILES = {"serverCertificate": "/cert", "privateKey": "/key"}


def server(port: dict[str, Any], **fields: Any) -> list[str]:
    found = errors("Gateway", {"servers": [{"port": port, "hosts": ["a.b"], **fields}]})
    return [each.removeprefix("servers[0].") for each in found]


def server_warnings(port: dict[str, Any], **fields: Any) -> list[str]:
    found = warnings("Gateway", {"servers": [{"port": port, "hosts": ["a.b"], **fields}]})
    return [each.removeprefix("servers[0].") for each in found]


def tls(**settings: Any) -> list[str]:
    return [each.removeprefix("tls.") for each in server(HTTPS, tls=settings)]


def tls_warnings(**settings: Any) -> list[str]:
    return [each.removeprefix("tls.") for each in server_warnings(HTTPS, tls=settings)]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, []),
        ({"hosts": []}, ["hosts"]),
        ({"hosts": ["ns/*.a.b", "*/*", "./a.b", "1.2.3.4"]}, []),
        ({"hosts": ["a"]}, ["hosts[0]"]),
        ({"hosts": ["::1"]}, ["hosts[0]"]),
        ({"hosts": ["*-a.b"]}, ["hosts[0]"]),
        ({"hosts": ["~/a.b"]}, ["hosts[0]"]),
        ({"hosts": ["n_s/a.b"]}, ["hosts[0]"]),
        ({"bind": "1.2.3.4"}, []),
        ({"bind": "a"}, ["bind"]),
        ({"bind": "unix:///var/socket"}, ["port.number"]),
        ({"bind": "unix:///var/socket", "port": {**HTTP, "number": 0}}, []),
        ({"bind": "unix://socket", "port": {**HTTP, "number": 0}}, ["bind"]),
        ({"bind": "unix:///var/", "port": {**HTTP, "number": 0}}, ["bind"]),
        ({"port": {**HTTP, "number": 0}}, ["port.number"]),
        ({"port": {**HTTP, "name": ""}}, ["port.name"]),
        ({"port": {**HTTP, "protocol": "QUICK"}}, ["port.protocol"]),
        ({"port": {**HTTP, "protocol": ""}}, ["port.protocol"]),
        ({"port": {**HTTP, "targetPort": 8080}}, ["port.targetPort"]),
    ],
)
def test_a_server_has_a_port_and_hosts(fields: dict[str, Any], wrong: list[str]) -> None:
    assert server(**{"port": HTTP, **fields}) == wrong


def test_a_gateway_has_servers_with_names_of_their_own_and_a_name_without_dots() -> None:
    servers = [{"port": HTTP, "hosts": ["a.b"]}, {"port": HTTP, "hosts": ["c.d"]}]
    assert errors("Gateway", {"servers": servers}) == ["servers[1].port.name"]
    assert errors("Gateway", {"servers": []}) == ["servers"]
    assert errors("Gateway", {"servers": servers[:1]}, name="a.b") == ["metadata.name"]


@pytest.mark.parametrize(
    ("port", "settings", "wrong"),
    [
        (HTTPS, None, ["tls"]),
        (HTTP, {"httpsRedirect": True}, []),
        (HTTP, {"mode": "PASSTHROUGH"}, []),
        (HTTP, {"mode": "SIMPLE", **FILES}, ["tls"]),
        ({**HTTP, "protocol": "TCP"}, {"mode": "PASSTHROUGH"}, ["tls"]),
        ({**HTTP, "protocol": "tls"}, {"mode": "AUTO_PASSTHROUGH"}, []),
    ],
)
def test_only_tls_has_settings_of_tls(
    port: dict[str, Any], settings: dict[str, Any] | None, wrong: list[str]
) -> None:
    assert server(port, **({"tls": settings} if settings else {})) == wrong


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"mode": "SIMPLE", **FILES}, []),
        ({"mode": "SIMPLE"}, ["serverCertificate", "privateKey"]),
        ({"mode": "SIMPLE", "credentialName": "a"}, []),
        ({"mode": "SIMPLE", "credentialName": "a", "credentialNames": ["b"]}, ["tls"]),
        ({"mode": "SIMPLE", "credentialName": "a", **FILES}, ["tls"]),
        ({"mode": "SIMPLE", "credentialName": "a", "serverCertificate": "/cert"}, []),
        ({"mode": "PASSTHROUGH", "credentialName": "a", **FILES}, ["tls"]),
        (
            {"mode": "SIMPLE", "credentialNames": []},
            ["serverCertificate", "privateKey", "credentialNames"],
        ),
        (
            {"mode": "SIMPLE", "tlsCertificates": [FILES, {"privateKey": "/key"}]},
            ["tlsCertificates[1].serverCertificate"],
        ),
        ({"mode": "SIMPLE", "tlsCertificates": [FILES] * 3}, ["tlsCertificates"]),
        ({"mode": "SIMPLE", **FILES, "caCrl": "/crl"}, ["caCrl"]),
        ({"mode": "MUTUAL", **FILES, "caCertificates": "/ca", "caCrl": "/crl"}, []),
        ({"mode": "MUTUAL", **FILES}, ["caCertificates"]),
        ({"mode": "OPTIONAL_MUTUAL", **FILES}, ["caCertificates"]),
        ({"mode": "ISTIO_MUTUAL"}, []),
        ({"mode": "ISTIO_MUTUAL", "privateKey": "/key"}, ["privateKey"]),
        ({"mode": "ISTIO_MUTUAL", "credentialName": "a"}, ["credentialName"]),
    ],
)
def test_a_mode_has_the_certificates_that_it_needs(
    settings: dict[str, Any], wrong: list[str]
) -> None:
    assert tls(**settings) == wrong


def test_what_has_no_effect_is_warned_of() -> None:
    assert tls_warnings(mode="PASSTHROUGH", credentialName="a") == ["tls"]
    assert tls_warnings(mode="PASSTHROUGH", caCrl="/crl") == ["tls"]
    assert tls_warnings(mode="SIMPLE", credentialName="a", httpsRedirect=True) == ["httpsRedirect"]
    assert server_warnings(HTTP, tls={"httpsRedirect": True}) == []


def test_ciphers_and_curves_that_envoy_does_not_know_are_warned_of() -> None:
    simple = {"mode": "SIMPLE", "credentialName": "a"}
    known = "ECDHE-ECDSA-AES128-SHA"
    assert tls_warnings(**simple, cipherSuites=[known, f"-{known}", "[A|B]", "ALL"]) == []
    assert tls_warnings(**simple, cipherSuites=[known, "NONSENSE", known]) == [
        "cipherSuites[1]",
        "cipherSuites[2]",
    ]
    assert tls_warnings(**simple, ecdhCurves=["P-256", "P-1", "P-256"]) == [
        "ecdhCurves[1]",
        "ecdhCurves[2]",
    ]


def test_old_versions_of_tls_need_ciphers_of_their_time() -> None:
    simple = {"mode": "SIMPLE", "credentialName": "a", "minProtocolVersion": "TLSV1_0"}
    assert tls_warnings(**simple) == ["minProtocolVersion"]
    assert tls_warnings(**simple, cipherSuites=["AES128-SHA"]) == []
