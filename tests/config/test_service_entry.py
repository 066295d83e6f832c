"""Istio's admission rules for ServiceEntry, WorkloadEntry and WorkloadGroup."""

from __future__ import annotations

from typing import Any

import pytest

from tests.config.admission import errors, warnings

HTTP = {"number": 80, "name": "http", "protocol": "HTTP"}
TCP = {"number": 90, "name": "tcp", "protocol": "TCP"}


def entry(**spec: Any) -> list[str]:
    return errors("ServiceEntry", {"hosts": ["a.b"], "ports": [HTTP], **spec})


def entry_warnings(labels: dict[str, str] | None = None, **spec: Any) -> list[str]:
    given = {"hosts": ["a.b"], "ports": [HTTP], **spec}
    return warnings("ServiceEntry", given, labels=labels or {})


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({}, []),
        ({"hosts": []}, ["hosts"]),
        ({"hosts": ["*"]}, ["hosts[0]"]),
        ({"hosts": ["a_b"]}, ["hosts[0]"]),
        ({"addresses": ["1.2.3.4", "2001:db8::/32"]}, []),
        ({"addresses": ["1.2.3.4/33"]}, ["addresses[0]"]),
        ({"addresses": ["1.2.3.0/24"], "resolution": "DNS"}, ["addresses[0]"]),
        ({"ports": [HTTP, {**HTTP, "number": 81}]}, ["ports[1].name"]),
        ({"ports": [HTTP, {**HTTP, "name": "b"}]}, ["ports[1].number"]),
        ({"ports": [{**HTTP, "name": "a.b"}]}, ["ports[0].name"]),
        ({"ports": [{**HTTP, "name": "HTTP"}]}, []),
        ({"ports": [{**HTTP, "protocol": "QUICK"}]}, ["ports[0].protocol"]),
        ({"ports": [{**HTTP, "targetPort": 70000}]}, ["ports[0].targetPort"]),
        ({"hosts": ["a.b", "c.d"], "resolution": "DNS"}, []),
        ({"hosts": ["a.b", "c.d"], "ports": [TCP], "resolution": "DNS"}, ["hosts"]),
        ({"hosts": ["a.b", "c.d"], "ports": [TCP]}, []),
        ({"exportTo": ["~"]}, []),
        ({"exportTo": ["~", "."]}, ["exportTo"]),
    ],
)
def test_hosts_addresses_and_ports(spec: dict[str, Any], wrong: list[str]) -> None:
    assert entry(**spec) == wrong


@pytest.mark.parametrize(
    ("resolution", "endpoint", "wrong"),
    [
        ("NONE", {"address": "1.2.3.4"}, ["endpoints"]),
        ("STATIC", {"address": "1.2.3.4", "ports": {"http": 8080}}, []),
        ("STATIC", {"address": "a.b"}, ["endpoints[0].address"]),
        ("STATIC", {"address": "unix:///a"}, []),
        ("STATIC", {"address": "unix://a"}, ["endpoints[0].address"]),
        ("STATIC", {"address": "unix:///a", "ports": {"http": 1}}, ["endpoints[0].ports"]),
        ("STATIC", {}, ["endpoints[0].address"]),
        ("STATIC", {"network": "n"}, []),
        ("STATIC", {"address": "1.2.3.4", "ports": {"other": 1}}, ["endpoints[0].ports.other"]),
        ("STATIC", {"address": "1.2.3.4", "ports": {"http": 0}}, ["endpoints[0].ports.http"]),
        ("STATIC", {"address": "1.2.3.4", "labels": {"a": "b c"}}, ["endpoints[0].labels.a"]),
        ("DNS", {"address": "a.b"}, []),
        ("DNS", {"address": "a_b"}, ["endpoints[0].address"]),
        ("DNS", {"address": "unix:///a"}, ["endpoints[0].address"]),
        ("DNS", {"network": "n"}, ["endpoints[0].address"]),
        ("DNS_ROUND_ROBIN", {"address": "a.b"}, []),
    ],
)
def test_endpoints_are_of_the_resolution(
    resolution: str, endpoint: dict[str, Any], wrong: list[str]
) -> None:
    assert entry(resolution=resolution, endpoints=[endpoint]) == wrong


def test_a_unix_socket_is_the_endpoint_of_one_port() -> None:
    endpoints = [{"address": "unix:///a"}]
    assert entry(resolution="STATIC", endpoints=endpoints, ports=[HTTP, TCP]) == [
        "endpoints[0].address"
    ]


@pytest.mark.parametrize("resolution", ["DNS", "DNS_ROUND_ROBIN"])
def test_a_wildcard_cannot_be_resolved(resolution: str) -> None:
    assert entry(hosts=["*.a.b"], resolution=resolution) == ["hosts[0]"]
    assert entry(hosts=["1"], resolution=resolution) == ["hosts[0]"]
    endpoints = [{"address": "a.b"}]
    assert entry(hosts=["*.a.b"], resolution=resolution, endpoints=endpoints) == []


def test_dynamic_dns_is_for_wildcards_of_protocols_that_name_the_host() -> None:
    assert entry(hosts=["*.a.b"], resolution="DYNAMIC_DNS") == []
    assert entry(hosts=["a.b"], resolution="DYNAMIC_DNS") == ["hosts[0]"]
    assert entry(hosts=["*.a.b"], resolution="DYNAMIC_DNS", ports=[TCP]) == ["ports[0].protocol"]
    https = {"number": 443, "name": "b", "protocol": "HTTPS"}
    assert entry(hosts=["*.a.b"], resolution="DYNAMIC_DNS", ports=[https]) == ["ports[0].protocol"]
    assert entry_warnings(hosts=["*a.b"]) == ["hosts[0]"]
    assert entry_warnings(hosts=["*a.b"], resolution="DYNAMIC_DNS") == []


@pytest.mark.parametrize(
    ("waypoint", "location", "wrong"),
    [
        ("w", "MESH_INTERNAL", ["location"]),
        ("w", "MESH_EXTERNAL", []),
        ("None", "MESH_INTERNAL", []),
    ],
)
def test_a_waypoint_resolves_no_names_of_the_mesh(
    waypoint: str, location: str, wrong: list[str]
) -> None:
    labels = {"istio.io/use-waypoint": waypoint}
    spec = {
        "hosts": ["*.a.b"],
        "ports": [HTTP],
        "resolution": "DYNAMIC_DNS",
        "location": location,
    }
    assert errors("ServiceEntry", spec, labels=labels) == wrong


def test_what_cannot_be_told_apart_or_has_no_effect_is_warned_of() -> None:
    assert entry_warnings() == []
    assert entry_warnings(ports=[TCP]) == ["ports[0]"]
    assert entry_warnings(ports=[{"number": 80, "name": "a"}]) == ["ports[0]"]
    assert entry_warnings(ports=[TCP], addresses=["1.2.3.4"]) == []
    assert entry_warnings(ports=[TCP], resolution="STATIC") == []
    refused = {"networking.istio.io/enable-autoallocate-ip": "false"}
    assert entry_warnings(refused, ports=[TCP], resolution="STATIC") == ["ports[0]"]
    selector: dict[str, Any] = {"workloadSelector": {"labels": {"a": "b"}}}
    assert entry_warnings(**selector) == ["workloadSelector"]
    assert entry_warnings(**selector, resolution="STATIC") == []
    assert entry_warnings(workloadSelector={}, resolution="STATIC") == ["workloadSelector"]
    several: dict[str, Any] = {
        "hosts": ["a.b", "c.d"],
        "addresses": ["1.2.3.4"],
        "resolution": "DNS",
    }
    tls = {"number": 443, "name": "tls", "protocol": "TLS"}
    assert entry_warnings(**several, ports=[tls]) == ["hosts"]
    assert entry_warnings(**several) == []
    assert entry_warnings(hosts=["*-a.b"]) == ["hosts[0]"]


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({"address": "1.2.3.4"}, []),
        ({"address": "a.b"}, []),
        ({"address": "*.b"}, ["address"]),
        ({}, ["address"]),
        ({"network": "n"}, []),
        ({"address": "unix:///a", "ports": {"a": 1}}, ["ports"]),
        ({"address": "1.2.3.4", "ports": {"a b": 1}}, ["ports.a b"]),
        ({"address": "1.2.3.4", "labels": {"a": "b c"}}, ["labels.a"]),
        ({"address": "1.2.3.4", "weight": -1}, ["weight"]),
        ({"address": "1.2.3.4", "locality": "a" * 2049}, ["locality"]),
    ],
)
def test_a_workload_entry_has_an_address_or_a_network(
    spec: dict[str, Any], wrong: list[str]
) -> None:
    assert errors("WorkloadEntry", spec) == wrong


def test_a_workload_without_an_address_is_warned_of() -> None:
    assert warnings("WorkloadEntry", {"network": "n"}) == ["address"]
    endpoint = [{"network": "n"}]
    assert entry_warnings(resolution="STATIC", endpoints=endpoint) == ["endpoints[0].address"]


def group(**spec: Any) -> list[str]:
    return errors("WorkloadGroup", {"template": {}, **spec})


@pytest.mark.parametrize(
    ("probe", "wrong"),
    [
        ({"httpGet": {"port": 80, "scheme": "HTTPS"}}, []),
        ({}, [""]),
        ({"httpGet": {"port": 0}}, [".httpGet.port"]),
        ({"httpGet": {"port": 80, "scheme": "ftp"}}, [".httpGet.scheme"]),
        (
            {"httpGet": {"port": 80, "httpHeaders": [{"name": "a b", "value": "c"}]}},
            [".httpGet.httpHeaders[0].name"],
        ),
        (
            {"httpGet": {"port": 80, "httpHeaders": [{"name": "a_b", "value": "c"}]}},
            [".httpGet.httpHeaders[0].name"],
        ),
        ({"tcpSocket": {"port": 80}, "periodSeconds": -1}, [".periodSeconds"]),
        ({"exec": {"command": []}}, [".exec.command"]),
        ({"exec": {"command": [""]}}, [".exec.command[0]"]),
    ],
)
def test_a_probe_asks_in_one_way(probe: dict[str, Any], wrong: list[str]) -> None:
    assert group(probe=probe) == [f"probe{each}" for each in wrong]


def test_a_group_gives_its_workloads_labels_that_can_be() -> None:
    assert group(metadata={"labels": {"a": "b c"}}) == ["metadata.labels.a"]
    assert errors("WorkloadGroup", {}) == ["spec"]


def test_what_a_groups_template_says_of_its_place_can_be() -> None:
    assert group(template={"address": "not yet known"}) == []
    assert group(template={"address": "unix://relative"}) == ["template.address"]
    assert group(template={"ports": {"a": 0}}) == ["template.ports.a"]
