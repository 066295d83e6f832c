from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clew._pb.envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    TlsParameters,
)
from clew._pb.envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext
from clew.compile.downstream_tls import server_tls_socket
from clew.model.gateway import ServerTLSSettings
from clew.model.mesh_config import MeshConfig


def context(mesh: str = "{}", *, http: bool = True, **settings: Any) -> DownstreamTlsContext:
    """The context of a server with these settings, by their names in YAML."""
    declared = msgspec.convert(settings, ServerTLSSettings)
    socket = server_tls_socket(declared, msgspec.yaml.decode(mesh, type=MeshConfig), http=http)
    assert socket is not None
    found = DownstreamTlsContext()
    assert socket.typed_config.Unpack(found)
    return found


def certificates(of: DownstreamTlsContext) -> list[str]:
    return [each.name for each in of.common_tls_context.tls_certificate_sds_secret_configs]


def validation(of: DownstreamTlsContext) -> CertificateValidationContext:
    return of.common_tls_context.combined_validation_context.default_validation_context


def roots(of: DownstreamTlsContext) -> str:
    combined = of.common_tls_context.combined_validation_context
    return combined.validation_context_sds_secret_config.name


SERVER: dict[str, Any] = {"serverCertificate": "/s.pem", "privateKey": "/s.key"}


@pytest.mark.proves(
    "ServerTLSSettings.mode=SIMPLE",
    "ServerTLSSettings.serverCertificate",
    "ServerTLSSettings.privateKey",
)
def test_a_simple_server_shows_its_certificate_and_asks_for_none() -> None:
    found = context(mode="SIMPLE", caCertificates="/ca.pem", **SERVER)
    assert certificates(found) == ["file-cert:/s.pem~/s.key"]
    assert not found.require_client_certificate.value
    assert roots(found) == ""


@pytest.mark.proves(
    "ServerTLSSettings.mode=MUTUAL",
    "ServerTLSSettings.mode=OPTIONAL_MUTUAL",
    "ServerTLSSettings.caCertificates",
)
@pytest.mark.parametrize(("mode", "required"), [("MUTUAL", True), ("OPTIONAL_MUTUAL", False)])
def test_clients_must_or_may_show_a_certificate_of_the_authority(mode: str, required: bool) -> None:
    found = context(mode=mode, caCertificates="/ca.pem", **SERVER)
    assert found.require_client_certificate.value is required
    assert roots(found) == "file-root:/ca.pem"


@pytest.mark.proves("ServerTLSSettings.mode=ISTIO_MUTUAL")
def test_the_mesh_brings_the_certificates_of_istio_mutual() -> None:
    found = context(
        mode="ISTIO_MUTUAL", subjectAltNames=["spiffe://a"], minProtocolVersion="TLSV1_3"
    )
    assert certificates(found) == ["default"]
    assert roots(found) == "ROOTCA"
    assert found.require_client_certificate.value
    assert {s.matcher.exact for s in validation(found).match_typed_subject_alt_names} == {
        "spiffe://a"
    }
    parameters = found.common_tls_context.tls_params
    assert parameters.tls_minimum_protocol_version == TlsParameters.TLSv1_3
    assert not validation(context(mode="ISTIO_MUTUAL")).match_typed_subject_alt_names


@pytest.mark.parametrize("mode", ["PASSTHROUGH", "AUTO_PASSTHROUGH"])
def test_what_passes_through_is_not_ended(mode: str) -> None:
    settings = msgspec.convert({"mode": mode}, ServerTLSSettings)
    assert server_tls_socket(settings, MeshConfig(), http=True) is None


@pytest.mark.proves(
    "ServerTLSSettings.credentialName",
    "ServerTLSSettings.credentialNames",
    "ServerTLSSettings.caCertCredentialName",
)
def test_secrets_hold_certificates_and_the_authority_of_clients() -> None:
    found = context(mode="MUTUAL", credentialName="web")
    assert certificates(found) == ["kubernetes://web"]
    assert roots(found) == "kubernetes://web-cacert"
    two = context(mode="MUTUAL", credentialNames=["rsa", "ecdsa"], caCertCredentialName="clients")
    assert certificates(two) == ["kubernetes://rsa", "kubernetes://ecdsa"]
    assert roots(two) == "kubernetes://clients-cacert"


@pytest.mark.proves(
    "ServerTLSSettings.tlsCertificates",
    "TLSCertificate.serverCertificate",
    "TLSCertificate.privateKey",
)
def test_a_server_may_have_a_certificate_for_each_kind_of_key() -> None:
    pairs = [
        {"serverCertificate": "/rsa.pem", "privateKey": "/rsa.key"},
        {"serverCertificate": "/ec.pem", "privateKey": "/ec.key"},
    ]
    found = context(mode="SIMPLE", tlsCertificates=pairs)
    assert certificates(found) == ["file-cert:/rsa.pem~/rsa.key", "file-cert:/ec.pem~/ec.key"]


@pytest.mark.proves(
    "ServerTLSSettings.subjectAltNames",
    "ServerTLSSettings.verifyCertificateSpki",
    "ServerTLSSettings.verifyCertificateHash",
    "ServerTLSSettings.caCrl",
    "ServerTLSSettings.insecureSkipVerify",
)
def test_what_is_asked_of_clients_certificates() -> None:
    mutual: dict[str, Any] = {"mode": "MUTUAL", "caCertificates": "/ca.pem", **SERVER}
    asked = validation(
        context(
            **mutual,
            subjectAltNames=["client.example.com"],
            verifyCertificateSpki=["c3BraQ=="],
            verifyCertificateHash=["ab" * 32],
            caCrl="/revoked.pem",
        )
    )
    assert {s.matcher.exact for s in asked.match_typed_subject_alt_names} == {"client.example.com"}
    assert list(asked.verify_certificate_spki) == ["c3BraQ=="]
    assert list(asked.verify_certificate_hash) == ["ab" * 32]
    assert asked.crl.filename == "/revoked.pem"
    assert asked.trust_chain_verification == CertificateValidationContext.VERIFY_TRUST_CHAIN
    lenient = validation(context(**mutual, insecureSkipVerify=True))
    assert lenient.trust_chain_verification == CertificateValidationContext.ACCEPT_UNTRUSTED


VERSIONS = {
    "TLSV1_0": TlsParameters.TLSv1_0,
    "TLSV1_1": TlsParameters.TLSv1_1,
    "TLSV1_2": TlsParameters.TLSv1_2,
    "TLSV1_3": TlsParameters.TLSv1_3,
}


@pytest.mark.proves(
    "ServerTLSSettings.minProtocolVersion=TLSV1_0",
    "ServerTLSSettings.minProtocolVersion=TLSV1_1",
    "ServerTLSSettings.minProtocolVersion=TLSV1_2",
    "ServerTLSSettings.minProtocolVersion=TLSV1_3",
    "ServerTLSSettings.maxProtocolVersion=TLSV1_0",
    "ServerTLSSettings.maxProtocolVersion=TLSV1_1",
    "ServerTLSSettings.maxProtocolVersion=TLSV1_2",
    "ServerTLSSettings.maxProtocolVersion=TLSV1_3",
)
@pytest.mark.parametrize("name", list(VERSIONS))
def test_the_versions_of_tls_are_bounded_as_declared(name: str) -> None:
    found = context(mode="SIMPLE", minProtocolVersion=name, maxProtocolVersion=name, **SERVER)
    parameters = found.common_tls_context.tls_params
    assert parameters.tls_minimum_protocol_version == VERSIONS[name]
    assert parameters.tls_maximum_protocol_version == VERSIONS[name]


@pytest.mark.proves(
    "ServerTLSSettings.minProtocolVersion=TLS_AUTO",
    "ServerTLSSettings.maxProtocolVersion=TLS_AUTO",
)
def test_without_a_choice_tls_is_1_2_to_1_3_or_what_the_mesh_says() -> None:
    auto: dict[str, Any] = {"minProtocolVersion": "TLS_AUTO", "maxProtocolVersion": "TLS_AUTO"}
    parameters = context(mode="SIMPLE", **auto, **SERVER).common_tls_context.tls_params
    assert parameters.tls_minimum_protocol_version == TlsParameters.TLSv1_2
    assert parameters.tls_maximum_protocol_version == TlsParameters.TLSv1_3
    mesh = "tlsDefaults: {minProtocolVersion: TLSV1_3, ecdhCurves: [P-256]}"
    parameters = context(mesh, mode="SIMPLE", **auto, **SERVER).common_tls_context.tls_params
    assert parameters.tls_minimum_protocol_version == TlsParameters.TLSv1_3
    assert list(parameters.ecdh_curves) == ["P-256"]


@pytest.mark.proves("ServerTLSSettings.cipherSuites", "ServerTLSSettings.ecdhCurves")
def test_suites_and_curves_that_envoy_does_not_know_are_left_out() -> None:
    suites = ["ECDHE-RSA-AES128-GCM-SHA256", "NO-SUCH", "ECDHE-RSA-AES128-GCM-SHA256"]
    found = context(mode="SIMPLE", cipherSuites=suites, ecdhCurves=["X25519", "no"], **SERVER)
    assert list(found.common_tls_context.tls_params.cipher_suites) == suites[:1]
    assert list(found.common_tls_context.tls_params.ecdh_curves) == ["X25519"]


def test_bytes_inside_tls_are_chosen_by_no_alpn() -> None:
    assert list(context(mode="SIMPLE", **SERVER).common_tls_context.alpn_protocols) == [
        "h2",
        "http/1.1",
    ]
    assert not context(mode="SIMPLE", http=False, **SERVER).common_tls_context.alpn_protocols
