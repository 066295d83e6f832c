"""Istio's admission rules for Sidecar."""

from __future__ import annotations

from typing import Any

import pytest

from tests.config.admission import errors, warnings

PORT = {"number": 80, "protocol": "HTTP", "name": "web"}
ALL = {"hosts": ["*/*"]}


def ingress(**fields: Any) -> list[str]:
    found = errors("Sidecar", {"ingress": [{"port": PORT, **fields}]})
    return [each.removeprefix("ingress[0].") for each in found]


def egress(**fields: Any) -> list[str]:
    found = errors("Sidecar", {"egress": [{**ALL, **fields}]})
    return [each.removeprefix("egress[0].") for each in found]


def egress_warnings(*hosts: str) -> list[str]:
    return warnings("Sidecar", {"egress": [{"hosts": list(hosts)}]})


def test_an_empty_sidecar_says_nothing() -> None:
    assert errors("Sidecar", {}) == ["spec"]
    assert errors("Sidecar", {"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}}) == []


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"defaultEndpoint": "127.0.0.1:80"}, []),
        ({"defaultEndpoint": "[::1]:80"}, []),
        ({"defaultEndpoint": "[127.0.0.1]:80"}, []),
        ({"defaultEndpoint": "::1:80"}, ["defaultEndpoint"]),
        ({"defaultEndpoint": ":80"}, []),
        ({"defaultEndpoint": "unix:///a"}, []),
        ({"defaultEndpoint": "unix://a"}, ["defaultEndpoint"]),
        ({"defaultEndpoint": "1.2.3.4:80"}, ["defaultEndpoint"]),
        ({"defaultEndpoint": "127.0.0.1:http"}, ["defaultEndpoint"]),
        ({"defaultEndpoint": "80"}, ["defaultEndpoint"]),
        ({"bind": "a"}, ["bind"]),
        ({"port": {**PORT, "number": 0}}, ["port.number"]),
        ({"port": {**PORT, "name": "a.b"}}, ["port.name"]),
        ({"port": {**PORT, "protocol": "QUICK"}}, ["port.protocol"]),
        ({"port": {**PORT, "targetPort": 80}}, ["port.targetPort"]),
        ({"connectionPool": {}}, ["connectionPool"]),
        ({"tls": {"mode": "PASSTHROUGH"}}, ["tls"]),
    ],
)
def test_what_comes_in(fields: dict[str, Any], wrong: list[str]) -> None:
    assert ingress(**fields) == wrong


@pytest.mark.parametrize(
    ("tls", "wrong"),
    [
        ({"mode": "SIMPLE", "serverCertificate": "/cert", "privateKey": "/key"}, []),
        ({"mode": "SIMPLE"}, ["serverCertificate", "privateKey"]),
        ({"mode": "SIMPLE", "credentialName": "a"}, ["credentialName"]),
        ({"mode": "ISTIO_MUTUAL"}, ["mode"]),
        ({"mode": "AUTO_PASSTHROUGH"}, ["mode"]),
        ({"mode": "PASSTHROUGH", "httpsRedirect": True}, ["httpsRedirect"]),
        ({"mode": "PASSTHROUGH", "subjectAltNames": ["a"]}, ["subjectAltNames"]),
    ],
)
def test_a_sidecar_terminates_tls_with_files(tls: dict[str, Any], wrong: list[str]) -> None:
    found = ingress(port={**PORT, "protocol": "HTTPS"}, tls=tls)
    assert found == [f"tls.{each}" for each in wrong]


def test_settings_of_http_have_no_effect_on_other_protocols() -> None:
    pool = {"connectionPool": {"http": {"maxRetries": 1}}}
    tcp = {"port": {**PORT, "protocol": "TCP"}}
    assert warnings("Sidecar", {"ingress": [{**tcp, **pool}]}) == ["ingress[0].connectionPool.http"]
    assert warnings("Sidecar", {"ingress": [{"port": PORT, **pool}]}) == []


def test_ports_are_there_once() -> None:
    twice = {"ingress": [{"port": PORT}, {"port": {**PORT, "name": "b"}}]}
    assert errors("Sidecar", twice) == ["ingress[1].port.number"]
    assert errors("Sidecar", {"egress": [{**ALL, "port": PORT}] * 2}) == ["egress[1]"]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"port": PORT, "bind": "127.0.0.1"}, []),
        ({"port": PORT, "bind": "unix:///a"}, ["bind"]),
        ({"port": {"protocol": "HTTP", "number": 0}}, ["port.number"]),
        ({"port": {"protocol": "HTTP", "number": 0}, "bind": "unix:///a"}, []),
        ({"port": {"protocol": "HTTP", "number": 0}, "bind": "unix://a"}, ["bind"]),
        (
            {"port": {"number": 0}, "bind": "unix:///a", "captureMode": "IPTABLES"},
            ["captureMode"],
        ),
        ({"hosts": []}, ["hosts"]),
        ({"hosts": ["a.b"]}, ["hosts[0]"]),
        ({"hosts": ["*/a"]}, ["hosts[0]"]),
        ({"hosts": ["n_s/a.b"]}, ["hosts[0]"]),
        ({"hosts": ["*/*-a.b"]}, ["hosts[0]"]),
        ({"hosts": ["*/1.2.3.4"]}, ["hosts[0]"]),
        ({"hosts": ["./*", "~/*", "ns/*.a.b"]}, []),
    ],
)
def test_what_goes_out(fields: dict[str, Any], wrong: list[str]) -> None:
    assert egress(**fields) == wrong


def test_the_listener_without_a_port_is_the_last() -> None:
    assert errors("Sidecar", {"egress": [ALL, {**ALL, "port": PORT}]}) == ["egress[0]"]
    assert warnings("Sidecar", {"egress": [{**ALL, "bind": "127.0.0.1"}]}) == ["egress[0].bind"]


def test_hosts_that_others_take_in_are_warned_of() -> None:
    assert egress_warnings("test/*", "test/a.com") == ["egress[0].hosts[1]"]
    assert egress_warnings("test/a.com", "test/*") == ["egress[0].hosts[1]"]
    assert egress_warnings("./a.com", "default/a.com") == ["egress[0].hosts[1]"]
    assert egress_warnings("*/*", "test/a.com") == ["egress[0].hosts"]
    assert egress_warnings("*/*", "~test/a.com") == []


@pytest.mark.parametrize(
    ("policy", "wrong"),
    [
        ({"mode": "ALLOW_ANY", "egressProxy": {"host": "a.b", "port": {"number": 80}}}, []),
        ({"egressProxy": {"host": "a.b", "port": {"number": 80}}}, ["egressProxy"]),
        ({"mode": "ALLOW_ANY", "egressProxy": {"host": "a.b"}}, ["egressProxy.port"]),
        (
            {"mode": "ALLOW_ANY", "egressProxy": {"host": "*.b", "port": {"number": 80}}},
            ["egressProxy.host"],
        ),
        (
            {
                "mode": "ALLOW_ANY",
                "egressProxy": {"host": "a", "subset": "v.1", "port": {"number": 80}},
            },
            ["egressProxy.subset"],
        ),
    ],
)
def test_an_egress_proxy_takes_what_is_allowed(policy: dict[str, Any], wrong: list[str]) -> None:
    expected = [f"outboundTrafficPolicy.{each}" for each in wrong]
    assert errors("Sidecar", {"outboundTrafficPolicy": policy}) == expected
