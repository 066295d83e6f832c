"""Certificates that Gateways name, as Envoy's secrets."""

from __future__ import annotations

from base64 import b64encode

from clew.compile.secrets import certificate_names, compile_secrets, roots_name
from clew.model.base import ObjectMeta
from clew.model.gateway import ServerTLSMode, ServerTLSSettings
from clew.model.secret import Secret


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
