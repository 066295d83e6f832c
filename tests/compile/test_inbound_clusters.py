"""Clusters of the server side: from which address the proxy calls its application, and how."""

from __future__ import annotations

import pytest

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import (
    HttpProtocolOptions,
)
from clew.compile.inbound_clusters import compile_inbound_clusters
from clew.snapshot.scope_builder import build_scope
from tests.snapshot.world import istio, mesh, pod, proxy, service

_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def inbound(*texts: str) -> Cluster:
    snapshot = mesh(service("web"), pod("web-0", "10.0.0.9"), *texts)
    scope = build_scope(snapshot, proxy(app="web")).inbound
    assert scope is not None
    return compile_inbound_clusters(scope)[0]


@pytest.mark.proves("HTTPSettings.useClientProtocol")
def test_an_application_hears_what_the_client_spoke_where_its_rule_says_so() -> None:
    pool = "{http: {useClientProtocol: true}}"
    rule = istio(
        "DestinationRule", "web", f"{{host: web, trafficPolicy: {{connectionPool: {pool}}}}}"
    )
    options = HttpProtocolOptions()
    assert inbound(rule).typed_extension_protocol_options[_OPTIONS].Unpack(options)
    assert options.HasField("use_downstream_protocol_config")


def test_of_http1_nothing_is_said_so_that_an_envoy_filter_may() -> None:
    assert not inbound().typed_extension_protocol_options


@pytest.mark.proves("SidecarPort.name")
def test_statistics_call_a_port_what_the_sidecar_does() -> None:
    settings = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: 'inboundClusterStatName: "%SERVICE_PORT_NAME%"'}
"""
    ingress = "{port: {number: 8080, protocol: HTTP, name: mine}, defaultEndpoint: 127.0.0.1:80}"
    found = inbound(
        settings, istio("Sidecar", "web", f"{{ingress: [{ingress}], egress: [{{hosts: ['*/*']}}]}}")
    )
    assert found.alt_stat_name == "mine;"


def test_a_connection_to_the_workloads_own_address_is_not_captured_again() -> None:
    ingress = "{port: {number: 8080, protocol: HTTP, name: http}, defaultEndpoint: 0.0.0.0:8080}"
    found = inbound(
        istio("Sidecar", "web", f"{{ingress: [{ingress}], egress: [{{hosts: ['*/*']}}]}}")
    )
    [endpoint] = found.load_assignment.endpoints[0].lb_endpoints
    assert endpoint.endpoint.address.socket_address.address == "10.0.0.9"
    assert found.upstream_bind_config.source_address.address == "127.0.0.6"
