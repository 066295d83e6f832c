"""Fields without effect: whoever sets one is told so, with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clew.config.parse import (
    parse_documents,
    parse_manifest,
    parse_mesh_config,
    parse_mesh_networks,
    unsupported_fields,
)
from clew.model.diagnostic import Diagnostic, Severity
from tests.config.admission import warnings

GATEWAY = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: shop}
spec:
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*"]
  - port: {number: 81, name: other, protocol: HTTP}
    hosts: ["*"]
    defaultEndpoint: 127.0.0.1:80
"""


def test_the_warning_names_file_line_field_and_what_happens_instead() -> None:
    [document] = parse_documents(GATEWAY, "web.yaml")
    assert [str(each) for each in document.diagnostics] == [
        "web.yaml:10:5: Warning Gateway shop/web\n"
        "  spec.servers[1].defaultEndpoint: not supported: "
        "ignored, as Istio does: routes say where requests go"
    ]
    assert document.valid


def test_an_object_can_be_asked_for_them_without_its_text() -> None:
    [document] = parse_documents(GATEWAY)
    assert document.resource is not None
    [found] = unsupported_fields(document.resource)
    assert found.place.field == "spec.servers[1].defaultEndpoint"
    assert found.place.resource == document.resource.key


@pytest.mark.parametrize(
    ("kind", "spec", "warned"),
    [
        (
            "DestinationRule",
            {
                "host": "a",
                "trafficPolicy": {"loadBalancer": {"backendUtilization": {}}},
                "subsets": [
                    {"name": "v1", "trafficPolicy": {"loadBalancer": {"backendUtilization": {}}}}
                ],
            },
            [
                "trafficPolicy.loadBalancer.backendUtilization",
                "subsets[0].trafficPolicy.loadBalancer.backendUtilization",
            ],
        ),
        (
            "VirtualService",
            {
                "hosts": ["a"],
                "tcp": [
                    {
                        "match": [{"sourceSubnet": "10.0.0.0/8"}],
                        "route": [{"destination": {"host": "a"}}],
                    }
                ],
            },
            ["tcp[0].match[0].sourceSubnet"],
        ),
        ("ProxyConfig", {"image": {"imageType": "debug"}, "concurrency": 2}, ["image"]),
        ("ProxyConfig", {"concurrency": 2}, []),
    ],
)
def test_fields_of_objects(kind: str, spec: dict[str, Any], warned: list[str]) -> None:
    assert warnings(kind, spec) == warned


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({"serviceSettings": [{"hosts": ["a.b"]}]}, ["serviceSettings"]),
        ({"serviceScopeConfigs": [{"scope": "GLOBAL"}]}, ["serviceScopeConfigs"]),
        ({"verifyCertificateAtClient": False}, ["verifyCertificateAtClient"]),
        (
            {"defaultConfig": {"configPath": "./x", "tracing": {"sampling": 5, "stackdriver": {}}}},
            ["defaultConfig.configPath", "defaultConfig.tracing.stackdriver"],
        ),
        ({"defaultConfig": {"extraStatTags": [], "concurrency": 2}}, []),
        ({"serviceSettings": []}, []),
    ],
)
def test_fields_of_mesh_config(settings: dict[str, Any], warned: list[str]) -> None:
    assert supported_not(parse_mesh_config(json.dumps(settings))[1]) == warned
    config_map = parse_manifest(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "istio", "namespace": "istio-system"},
            "data": {"mesh": json.dumps(settings)},
        }
    )
    assert supported_not(config_map.diagnostics) == [f"data.mesh.{each}" for each in warned]


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Pod", ()),
        ("Deployment", ("spec", "template")),
        ("StatefulSet", ("spec", "template")),
        ("WorkloadGroup", ("spec",)),
    ],
)
def test_a_workloads_annotation_is_looked_into(kind: str, path: tuple[str, ...]) -> None:
    settings = "{binaryPath: /bin/envoy, concurrency: 2}"
    metadata = {"annotations": {"proxy.istio.io/config": settings}}
    spec: dict[str, Any] = {"template": {}} if kind == "WorkloadGroup" else {}
    manifest: dict[str, Any] = {
        "apiVersion": {"Pod": "v1", "WorkloadGroup": "networking.istio.io/v1"}.get(kind, "apps/v1"),
        "kind": kind,
        "metadata": {"name": "a"},
        "spec": spec,
    }
    place: dict[str, Any] = manifest
    for each in path:
        place = place.setdefault(each, {})
    place["metadata"] = {**place.get("metadata", {}), **metadata}
    at = ".".join((*path, "metadata.annotations.proxy.istio.io/config.binaryPath"))
    assert supported_not(parse_manifest(manifest).diagnostics) == [at]


def test_an_annotation_with_errors_is_warned_of_for_its_object_can_be_had() -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "annotations": {"proxy.istio.io/config": "concurrency: many"}},
    }
    [found] = parse_manifest(pod).diagnostics
    assert found.severity is Severity.WARNING
    assert found.place.field == "metadata.annotations.proxy.istio.io/config.concurrency"
    assert found.problem == 'expected a whole number, got "many"'
    assert found.hint == "until it is corrected, programs with this annotation are not started"


def test_fields_of_mesh_networks() -> None:
    gateway = {"address": "1.2.3.4", "port": 15443, "locality": "eu/west"}
    networks = {"networks": {"far": {"endpoints": [], "gateways": [gateway]}}}
    found = parse_mesh_networks(json.dumps(networks))[1]
    assert supported_not(found) == ["networks.far.gateways[0].locality"]


def supported_not(found: tuple[Diagnostic, ...]) -> list[str]:
    """Return the fields that are warned of as not supported, when nothing else is wrong."""
    assert all(each.severity is Severity.WARNING for each in found), found
    assert all(each.problem.startswith("not supported: ") for each in found), found
    return [each.place.field for each in found]
