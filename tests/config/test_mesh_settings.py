"""Istio's rules for MeshConfig and MeshNetworks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clew.config.parse import parse_manifest, parse_mesh_config, parse_mesh_networks
from clew.model.diagnostic import Severity


def mesh(severity: Severity = Severity.ERROR, **settings: Any) -> list[str]:
    diagnostics = parse_mesh_config(json.dumps(settings))[1]
    fields = (each.place.field for each in diagnostics if each.severity is severity)
    return list(dict.fromkeys(fields))


def proxy(**settings: Any) -> list[str]:
    return [each.removeprefix("defaultConfig.") for each in mesh(defaultConfig=settings)]


def provider(**kinds: Any) -> list[str]:
    found = mesh(extensionProviders=[{"name": "p", **kinds}])
    return [each.removeprefix("extensionProviders[0].") for each in found]


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({}, []),
        ({"proxyListenPort": 0}, ["proxyListenPort"]),
        ({"connectTimeout": "1us"}, ["connectTimeout"]),
        ({"connectTimeout": "60s"}, []),
        ({"connectTimeout": "1.5ms"}, ["connectTimeout"]),
        ({"connectTimeout": "61m"}, ["connectTimeout"]),
        ({"protocolDetectionTimeout": "0s"}, []),
        ({"protocolDetectionTimeout": "100us"}, ["protocolDetectionTimeout"]),
        ({"trustDomain": "a.1"}, []),
        ({"trustDomain": "-a"}, ["trustDomain"]),
        ({"trustDomain": ""}, ["trustDomain"]),
        ({"trustDomainAliases": ["a", "b:c"]}, ["trustDomainAliases[1]"]),
        ({"serviceSettings": [{"hosts": ["a_b"]}]}, ["serviceSettings[0].hosts[0]"]),
        (
            {"zoneAwareLbSetting": {"failover": [{"from": "a", "to": "a"}]}},
            ["zoneAwareLbSetting.failover[0]"],
        ),
        ({"meshMTLS": {"ecdhCurves": ["P-256"]}}, ["meshMTLS.ecdhCurves"]),
        ({"defaultHttpRetryPolicy": {"attempts": 0, "retryOn": "5xx"}}, []),
        (
            {"defaultHttpRetryPolicy": {"attempts": 1, "perTryTimeout": "-1s"}},
            ["defaultHttpRetryPolicy.perTryTimeout"],
        ),
        (
            {"defaultInboundHttpRetryPolicy": {"attempts": 0, "retryOn": "5xx"}},
            ["defaultInboundHttpRetryPolicy"],
        ),
    ],
)
def test_settings_of_the_mesh(settings: dict[str, Any], wrong: list[str]) -> None:
    assert mesh(**settings) == wrong


def test_retries_of_the_mesh_that_have_no_effect_are_warned_of() -> None:
    def warned(**policy: Any) -> list[str]:
        return mesh(Severity.WARNING, defaultHttpRetryPolicy=policy)

    assert warned(attempts=2, retryOn="5xx") == []
    assert warned(attempts=0, retryOn="5xx") == ["defaultHttpRetryPolicy"]
    assert warned(attempts=2, retryOn="sometimes") == ["defaultHttpRetryPolicy.retryOn"]
    inbound = {"attempts": 1, "perTryTimeout": "1s", "retryIgnorePreviousHosts": True}
    assert mesh(Severity.WARNING, defaultInboundHttpRetryPolicy=inbound) == [
        "defaultInboundHttpRetryPolicy.perTryTimeout",
        "defaultInboundHttpRetryPolicy.retryIgnorePreviousHosts",
    ]


def test_old_ways_to_give_hosts_addresses_are_warned_of() -> None:
    found = mesh(
        Severity.WARNING,
        defaultConfig={"proxyMetadata": {"ISTIO_META_DNS_AUTO_ALLOCATE": "true"}},
    )
    assert found == ["defaultConfig.proxyMetadata.ISTIO_META_DNS_AUTO_ALLOCATE"]


def test_curves_that_nobody_knows_are_warned_of() -> None:
    found = mesh(Severity.WARNING, tlsDefaults={"ecdhCurves": ["P-256", "P-1"]})
    assert found == ["tlsDefaults.ecdhCurves[1]"]


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"binaryPath": ""}, ["binaryPath"]),
        ({"configPath": ""}, ["configPath"]),
        ({"serviceCluster": ""}, ["serviceCluster"]),
        ({"statusPort": 0}, ["statusPort"]),
        ({"proxyAdminPort": 70000}, ["proxyAdminPort"]),
        ({"discoveryAddress": ""}, ["discoveryAddress"]),
        ({"discoveryAddress": "istiod"}, ["discoveryAddress"]),
        ({"discoveryAddress": "istiod.istio-system.svc:15012"}, []),
        ({"discoveryAddress": "[::1]:15012"}, []),
        ({"discoveryAddress": "::1:15012"}, ["discoveryAddress"]),
        ({"statsdUdpAddress": "a:0"}, ["statsdUdpAddress"]),
        ({"envoyMetricsServiceAddress": "a"}, ["envoyMetricsServiceAddress"]),
        ({"envoyMetricsService": {"address": "a"}}, ["envoyMetricsService.address"]),
        ({"envoyAccessLogService": {"address": "a"}}, ["envoyAccessLogService.address"]),
        ({"drainDuration": "1500ms"}, ["drainDuration"]),
        ({"drainDuration": "45s"}, []),
        ({"controlPlaneAuthPolicy": "INHERIT"}, ["controlPlaneAuthPolicy"]),
        ({"tracing": {"zipkin": {"address": "$(HOST_IP):9411"}}}, []),
        ({"tracing": {"zipkin": {"address": "a"}}}, ["tracing.zipkin.address"]),
        ({"tracing": {"lightstep": {"address": "a:80"}}}, ["tracing.lightstep.accessToken"]),
        ({"tracing": {"sampling": 101}}, ["tracing.sampling"]),
        (
            {"tracing": {"tlsSettings": {"mode": "MUTUAL", "clientCertificate": "/a"}}},
            ["tracing.tlsSettings.privateKey"],
        ),
        ({"privateKeyProvider": {}}, ["privateKeyProvider"]),
        ({"privateKeyProvider": {"cryptomb": {}}}, ["privateKeyProvider.cryptomb.pollDelay"]),
        (
            {"privateKeyProvider": {"qat": {"pollDelay": "0s"}}},
            ["privateKeyProvider.qat.pollDelay"],
        ),
        ({"concurrency": -1}, ["concurrency"]),
        ({"connectionSettings": {"listenerConnectionLimit": 1}}, []),
        (
            {"connectionSettings": {"listenerConnectionLimit": 0}},
            ["connectionSettings.listenerConnectionLimit"],
        ),
        (
            {"connectionSettings": {"httpMaxConcurrentStreams": 0}},
            ["connectionSettings.httpMaxConcurrentStreams"],
        ),
    ],
)
def test_settings_of_proxies(settings: dict[str, Any], wrong: list[str]) -> None:
    assert proxy(**settings) == wrong


SERVICE = {"service": "a.ns.svc", "port": 80}


@pytest.mark.parametrize(
    ("kinds", "wrong"),
    [
        ({"envoyExtAuthzHttp": SERVICE}, []),
        (
            {"envoyExtAuthzHttp": {**SERVICE, "pathPrefix": "check"}},
            ["envoyExtAuthzHttp.pathPrefix"],
        ),
        ({"envoyExtAuthzHttp": {**SERVICE, "statusOnError": "503"}}, []),
        (
            {"envoyExtAuthzGrpc": {**SERVICE, "statusOnError": "999"}},
            ["envoyExtAuthzGrpc.statusOnError"],
        ),
        (
            {"envoyExtAuthzGrpc": {**SERVICE, "statusOnError": "never"}},
            ["envoyExtAuthzGrpc.statusOnError"],
        ),
        ({"zipkin": {**SERVICE, "port": 0}}, ["zipkin.port"]),
        ({"zipkin": {**SERVICE, "service": "a/b/c"}}, ["zipkin.service"]),
        ({"zipkin": {**SERVICE, "service": "a"}}, []),
        ({"zipkin": {**SERVICE, "service": "ns/a"}}, ["zipkin.service"]),
        ({"zipkin": {**SERVICE, "service": "*/a.ns.svc"}}, []),
        (
            {"envoyExtAuthzGrpc": {**SERVICE, "statusOnError": "418"}},
            ["envoyExtAuthzGrpc.statusOnError"],
        ),
        ({"lightstep": SERVICE}, ["lightstep.accessToken"]),
        (
            {"opentelemetry": {**SERVICE, "http": {"path": "/v1"}, "grpc": {"timeout": "1s"}}},
            ["opentelemetry"],
        ),
        ({}, ["extensionProviders[0]"]),
        ({"prometheus": {}, "stackdriver": {}}, ["extensionProviders[0]"]),
    ],
)
def test_a_provider_is_a_service_of_one_kind(kinds: dict[str, Any], wrong: list[str]) -> None:
    assert provider(**kinds) == wrong


def test_providers_have_names_of_their_own() -> None:
    twice = [{"name": "p", "prometheus": {}}, {"name": "p", "stackdriver": {}}]
    assert mesh(extensionProviders=twice) == ["extensionProviders[1].name"]
    assert mesh(extensionProviders=[{"prometheus": {}}]) == ["extensionProviders[0].name"]


def networks(**network: Any) -> list[str]:
    diagnostics = parse_mesh_networks(json.dumps({"networks": {"n": network}}))[1]
    return [each.place.field.removeprefix("networks.n.") for each in diagnostics]


@pytest.mark.parametrize(
    ("network", "wrong"),
    [
        ({"endpoints": [{"fromRegistry": "Kubernetes"}, {"fromCidr": "10.0.0.0/8"}]}, []),
        ({"endpoints": [{"fromCidr": "10.0.0.0/33"}]}, ["endpoints[0].fromCidr"]),
        ({"endpoints": [{"fromRegistry": "a b"}]}, ["endpoints[0].fromRegistry"]),
        ({"endpoints": [{"fromRegistry": "a", "fromCidr": "::/0"}]}, ["endpoints[0]"]),
        ({"gateways": [{"address": "1.2.3.4", "port": 443}]}, []),
        ({"gateways": [{"address": "gw.example.com", "port": 443}]}, []),
        ({"gateways": [{"address": "1nv@lid", "port": 443}]}, ["gateways[0].address"]),
        ({"gateways": [{"registryServiceName": "gw.ns.svc", "port": 0}]}, ["gateways[0].port"]),
        (
            {"gateways": [{"registryServiceName": "*.svc", "port": 1}]},
            ["gateways[0].registryServiceName"],
        ),
        ({"gateways": [{"registryServiceName": "a", "address": "b", "port": 1}]}, ["gateways[0]"]),
    ],
)
def test_networks_have_endpoints_and_gateways(network: dict[str, Any], wrong: list[str]) -> None:
    assert networks(**network) == wrong


def test_mesh_networks_are_read_from_yaml() -> None:
    read, diagnostics = parse_mesh_networks(
        "networks: {n: {gateways: [{address: 1.2.3.4, port: 15443}]}}"
    )
    assert diagnostics == ()
    assert read.networks["n"].gateways[0].port == 15443


def test_settings_in_a_config_map_are_checked_with_it() -> None:
    data = {"mesh": "trustDomain: a..b", "meshNetworks": "networks: {n: {endpoints: 5}}"}
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio"}}
    found = parse_manifest({**config_map, "data": data}).diagnostics
    assert [each.place.field for each in found] == [
        "data.mesh.trustDomain",
        "data.meshNetworks.networks.n.endpoints",
    ]
    broken = parse_manifest({**config_map, "data": {"mesh": "a: ["}}).diagnostics
    assert [each.place.field for each in broken] == ["data.mesh"]
