"""Certificates that Gateways name, as Envoy's secrets."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from clew._pb.envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret as EnvoySecret
from clew.compile.secrets import certificate_names, compile_secrets, roots_name
from clew.model.base import ObjectMeta
from clew.model.gateway import ServerTLSMode, ServerTLSSettings
from clew.model.proxy import ProxyType
from clew.model.secret import Secret
from clew.model.xds import SECRET
from tests.compile.meshes import SERVICE, published, rule


def secret(name: str, **values: str) -> dict[str, Secret]:
    """A Secret by its name; ``tls_crt`` stands for the key ``tls.crt``."""
    data = {
        key.replace("_", "."): b64encode(value.encode()).decode() for key, value in values.items()
    }
    found = Secret(api_version="v1", kind="Secret", metadata=ObjectMeta(name=name), data=data)
    return {name: found}


def server(mode: str = "SIMPLE", **settings: str) -> ServerTLSSettings:
    return ServerTLSSettings(mode=ServerTLSMode(mode), **settings)  # type: ignore[arg-type]  # str


def test_a_credential_is_the_secrets_certificate_and_key() -> None:
    settings = server(credential_name="web")
    [found] = compile_secrets([settings], secret("web", tls_crt="chain", tls_key="key"))
    assert [found.name] == list(certificate_names(settings)) == ["kubernetes://web"]
    assert found.tls_certificate.certificate_chain.inline_bytes == b"chain"
    assert found.tls_certificate.private_key.inline_bytes == b"key"


def test_a_credential_without_a_key_is_none() -> None:
    assert list(compile_secrets([server(credential_name="web")], secret("web", tls_crt="x"))) == []
    assert list(compile_secrets([server(credential_name="web")], {})) == []


def test_the_roots_of_clients_are_in_a_secret_of_their_own_else_in_the_servers() -> None:
    settings = server("MUTUAL", credential_name="web")
    both = secret("web", tls_crt="a", tls_key="b", ca_crt="in web", ca_crl="revoked")
    own = {**both, **secret("web-cacert", cacert="own")}
    _, found = compile_secrets([settings], both)
    assert found.name == roots_name(settings) == "kubernetes://web-cacert"
    assert found.validation_context.trusted_ca.inline_bytes == b"in web"
    assert found.validation_context.crl.inline_bytes == b"revoked"
    _, found = compile_secrets([settings], own)
    assert found.validation_context.trusted_ca.inline_bytes == b"own"


def test_files_are_named_and_their_directory_is_watched() -> None:
    settings = server(
        "MUTUAL",
        server_certificate="/etc/certs/a.pem",
        private_key="/etc/certs/a.key",
        ca_certificates="/etc/certs/ca.pem",
    )
    certificate, roots = compile_secrets([settings], {})
    assert certificate.name == "file-cert:/etc/certs/a.pem~/etc/certs/a.key"
    assert certificate.tls_certificate.watched_directory.path == "/etc/certs"
    assert roots.name == "file-root:/etc/certs/ca.pem"


def test_what_passes_tls_through_or_uses_the_meshs_own_needs_no_secret() -> None:
    for mode in ("PASSTHROUGH", "ISTIO_MUTUAL"):
        found = compile_secrets([server(mode, credential_name="web")], secret("web"))
        assert list(found) == []


CREDENTIAL = """
apiVersion: v1
kind: Secret
metadata: {name: client, namespace: default}
stringData: {tls.crt: chain, tls.key: key, ca.crt: roots, ca.crl: revoked}
"""
ROOTS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: roots, namespace: default}
data: {ca.crt: roots}
"""
WITH_SECRET = "trafficPolicy: {tls: {mode: MUTUAL, credentialName: client}}"


def given(*texts: str, **about: Any) -> dict[str, EnvoySecret]:
    found = published(SERVICE, *texts, **about)[SECRET]
    return {name: EnvoySecret.FromString(each.body) for name, each in found.items()}


@pytest.mark.proves("ClientTLSSettings.credentialName")
def test_a_gateway_gets_the_secret_that_a_destination_rule_names() -> None:
    found = given(rule(WITH_SECRET), CREDENTIAL, type=ProxyType.ROUTER)
    certificate = found["kubernetes://client"].tls_certificate
    assert certificate.certificate_chain.inline_bytes == b"chain"
    assert certificate.private_key.inline_bytes == b"key"
    validation = found["kubernetes://client-cacert"].validation_context
    assert validation.trusted_ca.inline_bytes == b"roots"
    assert validation.crl.inline_bytes == b"revoked"


@pytest.mark.proves("ClientTLSSettings.credentialName", "DestinationRuleSpec.workloadSelector")
def test_a_sidecar_gets_it_only_if_the_rule_selects_it() -> None:
    assert given(rule(WITH_SECRET), CREDENTIAL) == {}
    selecting = rule(f"{WITH_SECRET}, workloadSelector: {{matchLabels: {{app: client}}}}")
    assert given(selecting, CREDENTIAL, labels={"app": "other"}) == {}
    assert given(selecting, CREDENTIAL, labels={"app": "client"}).keys() == {
        "kubernetes://client",
        "kubernetes://client-cacert",
    }
    # It is the proxy's namespace whose Secrets it gets.
    elsewhere = CREDENTIAL.replace("namespace: default", "namespace: other")
    assert given(selecting, elsewhere, labels={"app": "client"}) == {}


@pytest.mark.proves("ClientTLSSettings.credentialName")
def test_roots_in_a_config_map_are_given_to_everybody() -> None:
    tls = "tls: {mode: SIMPLE, credentialName: 'configmap://default/roots'}"
    found = given(rule(f"trafficPolicy: {{{tls}}}"), ROOTS)
    validation = found["configmap://default/roots-cacert"].validation_context
    assert validation.trusted_ca.inline_bytes == b"roots"


@pytest.mark.proves(
    "ClientTLSSettings.clientCertificate",
    "ClientTLSSettings.privateKey",
    "ClientTLSSettings.caCertificates",
)
def test_files_that_a_destination_rule_names_are_read_again_when_they_change() -> None:
    found = given(
        rule(
            """trafficPolicy: {tls: {mode: MUTUAL, clientCertificate: /certs/c.pem,
            privateKey: /certs/k.pem, caCertificates: /roots/ca.pem}}"""
        )
    )
    certificate = found["file-cert:/certs/c.pem~/certs/k.pem"].tls_certificate
    assert certificate.certificate_chain.filename == "/certs/c.pem"
    assert certificate.private_key.filename == "/certs/k.pem"
    assert certificate.watched_directory.path == "/certs"
    roots = found["file-root:/roots/ca.pem"].validation_context
    assert roots.trusted_ca.filename == "/roots/ca.pem"
    assert roots.watched_directory.path == "/roots"
