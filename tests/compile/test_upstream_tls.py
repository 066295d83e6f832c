from __future__ import annotations

import pytest

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.core.v3.proxy_protocol_pb2 import ProxyProtocolConfig
from clew._pb.envoy.extensions.transport_sockets.proxy_protocol.v3 import (
    upstream_proxy_protocol_pb2,
)
from clew._pb.envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    TlsParameters,
)
from clew.model.proxy import ProxyType
from tests.compile.meshes import cluster_of, mesh_config, options_of, policy, rule, tls_of

FILES = "clientCertificate: /etc/c.pem, privateKey: /etc/k.pem, caCertificates: /etc/ca.pem"


def secured(text: str) -> Cluster:
    return cluster_of(policy(f"tls: {{{text}}}"))


def validation(cluster: Cluster) -> CertificateValidationContext:
    context = tls_of(cluster).common_tls_context
    if context.HasField("combined_validation_context"):
        return context.combined_validation_context.default_validation_context
    return context.validation_context


def accepted_names(cluster: Cluster) -> set[str]:
    return {m.matcher.exact for m in validation(cluster).match_typed_subject_alt_names}


@pytest.mark.proves("TrafficPolicy.tls", "ClientTLSSettings.mode=DISABLE")
@pytest.mark.parametrize("text", ["mode: DISABLE", ""])
def test_a_rule_may_switch_mtls_off(text: str) -> None:
    assert cluster_of().HasField("transport_socket")
    assert not secured(text).HasField("transport_socket")


@pytest.mark.proves(
    "ClientTLSSettings.mode",
    "ClientTLSSettings.mode=SIMPLE",
    "ClientTLSSettings.caCertificates",
)
def test_a_server_is_verified_by_the_systems_roots_unless_others_are_named() -> None:
    context = tls_of(secured("mode: SIMPLE")).common_tls_context
    assert not context.tls_certificates
    assert not context.tls_certificate_sds_secret_configs
    assert _secrets(secured("mode: SIMPLE")) == ["file-root:system"]
    assert _secrets(secured("mode: SIMPLE, caCertificates: /etc/ca.pem")) == [
        "file-root:/etc/ca.pem"
    ]


@pytest.mark.proves(
    "ClientTLSSettings.mode=MUTUAL",
    "ClientTLSSettings.clientCertificate",
    "ClientTLSSettings.privateKey",
)
def test_a_client_may_present_a_certificate_of_its_own() -> None:
    assert _secrets(secured(f"mode: MUTUAL, {FILES}")) == [
        "file-cert:/etc/c.pem~/etc/k.pem",
        "file-root:/etc/ca.pem",
    ]


@pytest.mark.proves("ClientTLSSettings.caCrl")
def test_revoked_certificates_are_refused() -> None:
    found = validation(secured(f"mode: MUTUAL, {FILES}, caCrl: /etc/crl.pem"))
    assert found.crl.filename == "/etc/crl.pem"


@pytest.mark.proves("ClientTLSSettings.sni", "ClientTLSSettings.subjectAltNames")
def test_the_name_asked_for_and_the_names_accepted_may_be_told() -> None:
    found = secured("mode: SIMPLE, sni: a.example, subjectAltNames: [b.example]")
    assert tls_of(found).sni == "a.example"
    assert accepted_names(found) == {"b.example"}
    assert not options_of(found).upstream_http_protocol_options.auto_sni


@pytest.mark.proves("ClientTLSSettings.sni", "ClientTLSSettings.subjectAltNames")
def test_by_default_it_is_the_host_of_the_request_and_its_certificate_must_say_so() -> None:
    options = options_of(secured("mode: SIMPLE")).upstream_http_protocol_options
    assert options.auto_sni
    assert options.auto_san_validation
    named = options_of(secured("mode: SIMPLE, subjectAltNames: [b.example]"))
    assert named.upstream_http_protocol_options.auto_sni
    assert not named.upstream_http_protocol_options.auto_san_validation


@pytest.mark.proves("ClientTLSSettings.insecureSkipVerify")
def test_verification_can_be_skipped() -> None:
    found = secured("mode: SIMPLE, insecureSkipVerify: true")
    context = tls_of(found).common_tls_context
    assert not context.HasField("combined_validation_context")
    assert not context.validation_context.ListFields()
    assert not options_of(found).upstream_http_protocol_options.auto_san_validation


@pytest.mark.proves("ClientTLSSettings.mode=ISTIO_MUTUAL")
def test_the_meshs_own_mtls_can_be_demanded_and_its_names_overruled() -> None:
    found = secured("mode: ISTIO_MUTUAL")
    assert tls_of(found).sni == "outbound_.80_._.reviews.default.svc.cluster.local"
    assert accepted_names(found) == {"spiffe://cluster.local/ns/default/sa/reviews"}
    told = secured("mode: ISTIO_MUTUAL, sni: other, subjectAltNames: ['spiffe://x/ns/a/sa/b']")
    assert tls_of(told).sni == "other"
    assert accepted_names(told) == {"spiffe://x/ns/a/sa/b"}


def _secrets(cluster: Cluster) -> list[str]:
    context = tls_of(cluster).common_tls_context
    roots = context.combined_validation_context.validation_context_sds_secret_config.name
    return [*(s.name for s in context.tls_certificate_sds_secret_configs), roots]


WITH_SECRET = "trafficPolicy: {tls: {mode: MUTUAL, credentialName: client}}"


@pytest.mark.proves("ClientTLSSettings.credentialName")
def test_a_gateway_asks_for_the_secret_that_a_rule_names() -> None:
    found = cluster_of(rule(WITH_SECRET), type=ProxyType.ROUTER)
    assert _secrets(found) == ["kubernetes://client", "kubernetes://client-cacert"]


@pytest.mark.proves("ClientTLSSettings.credentialName", "DestinationRuleSpec.workloadSelector")
def test_a_sidecar_gets_a_secret_only_by_a_rule_that_selects_it() -> None:
    assert not cluster_of(rule(WITH_SECRET)).HasField("transport_socket")
    selecting = rule(f"{WITH_SECRET}, workloadSelector: {{matchLabels: {{app: client}}}}")
    found = cluster_of(selecting, labels={"app": "client"})
    assert _secrets(found) == ["kubernetes://client", "kubernetes://client-cacert"]


@pytest.mark.proves("ClientTLSSettings.credentialName")
def test_roots_in_a_config_map_are_for_everybody() -> None:
    found = secured("mode: SIMPLE, credentialName: 'configmap://default/roots'")
    assert _secrets(found) == ["configmap://default/roots-cacert"]


@pytest.mark.proves(
    "TrafficPolicy.proxyProtocol",
    "ProxyProtocol.version",
    "ProxyProtocol.version=V1",
    "ProxyProtocol.version=V2",
)
@pytest.mark.parametrize(
    ("text", "version"),
    [("{}", 0), ("{version: V1}", 0), ("{version: V2}", 1)],
)
def test_a_proxy_protocol_header_goes_before_the_connection(text: str, version: int) -> None:
    found = cluster_of(policy(f"tls: {{mode: SIMPLE}}, proxyProtocol: {text}"))
    wrapper = upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport()
    assert found.transport_socket.typed_config.Unpack(wrapper)
    assert wrapper.config == ProxyProtocolConfig(version=version)  # type: ignore[arg-type]  # an enum's number
    assert wrapper.transport_socket.name == "envoy.transport_sockets.tls"


@pytest.mark.proves(
    "MeshConfig.tlsDefaults",
    "MeshTLSConfig.cipherSuites",
    "MeshTLSConfig.ecdhCurves",
    "MeshTLSConfig.minProtocolVersion",
)
def test_the_mesh_may_say_which_tls_is_good_enough() -> None:
    mesh = mesh_config(
        "tlsDefaults: {minProtocolVersion: TLSV1_3, ecdhCurves: [P-384], "
        "cipherSuites: [ECDHE-RSA-AES256-GCM-SHA384]}"
    )
    found = tls_of(cluster_of(mesh, policy("tls: {mode: SIMPLE}"))).common_tls_context.tls_params
    assert found.tls_minimum_protocol_version == TlsParameters.TLSv1_3
    assert list(found.ecdh_curves) == ["P-384"]
    assert list(found.cipher_suites) == ["ECDHE-RSA-AES256-GCM-SHA384"]


@pytest.mark.proves("MeshConfig.meshMTLS")
def test_the_mesh_may_say_which_tls_its_own_connections_use() -> None:
    mesh = mesh_config("meshMTLS: {minProtocolVersion: TLSV1_3, cipherSuites: [AES128-GCM-SHA256]}")
    found = tls_of(cluster_of(mesh)).common_tls_context.tls_params
    assert found.tls_minimum_protocol_version == TlsParameters.TLSv1_3
    assert list(found.cipher_suites) == ["AES128-GCM-SHA256"]


@pytest.mark.proves("MeshConfig.enableAutoMtls")
def test_mtls_is_automatic_unless_the_mesh_says_otherwise() -> None:
    assert cluster_of().HasField("transport_socket")
    assert not cluster_of(mesh_config("enableAutoMtls: false")).HasField("transport_socket")
