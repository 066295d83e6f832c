"""Certificates of TLS servers that are not the mesh's own, as secrets that Envoy asks for.

A listener only names them, so one that is missing or renewed touches no listener.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from clew._pb.envoy.config.core.v3.base_pb2 import DataSource, WatchedDirectory
from clew._pb.envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    TlsCertificate,
)
from clew._pb.envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from clew.model import secret as declared
from clew.model.config_map import ConfigMap
from clew.model.destination_rule import ClientTLSMode, ClientTLSSettings
from clew.model.gateway import ServerTLSMode, ServerTLSSettings
from clew.snapshot.credentials import Credentials

# A server is verified by what the proxy's system trusts.
SYSTEM_ROOTS = "system"
# The modes in which a client does not use the mesh's own certificates.
OWN_TLS = (ClientTLSMode.SIMPLE, ClientTLSMode.MUTUAL)
# Envoy's own word for them (``system_root_certs``) is for gRPC only: Envoy would verify nothing.
# The agent puts them beside the workload's certificate.
_SYSTEM_ROOTS_FILE = "./sds/system-roots.pem"
_ROOTS = "-cacert"
_OWN = (ServerTLSMode.SIMPLE, ServerTLSMode.MUTUAL, ServerTLSMode.OPTIONAL_MUTUAL)


def certificate_names(settings: ServerTLSSettings) -> Iterator[str]:
    """Yield the secrets with what a server presents. Source: istio's SDS names."""
    yield from map(credential_name, _credentials(settings))
    yield from (certificate_file_name(*files) for files in _files(settings))


def roots_name(settings: ServerTLSSettings) -> str:
    """The secret with what client certificates are verified by; "" if they are not."""
    if settings.ca_certificates:
        return roots_file_name(settings.ca_certificates)
    own = next(iter(_credentials(settings)), "")
    named = settings.ca_cert_credential_name or own
    return credential_name(named.removesuffix(_ROOTS) + _ROOTS) if named else ""


def certificate_file_name(certificate: str, key: str) -> str:
    return f"file-cert:{certificate}~{key}"


def roots_file_name(roots: str) -> str:
    return f"file-root:{roots}"


def credential_name(credential: str) -> str:
    return credential if "://" in credential else f"kubernetes://{credential}"


def compile_secrets(
    servers: Iterable[ServerTLSSettings], secrets: Mapping[str, declared.Secret]
) -> Iterator[Secret]:
    """Yield the secrets of servers that can be had; ``secrets``: Kubernetes' own, by name."""
    for settings in servers:
        if settings.mode not in _OWN:
            continue
        for name in _credentials(settings):
            yield from _of_kubernetes(name, secrets)
        for certificate, key in _files(settings):
            yield _of_files(certificate, key)
        if settings.ca_certificates:
            yield _roots(roots_name(settings), DataSource(filename=settings.ca_certificates))
        elif name := roots_name(settings):
            yield from _roots_of_kubernetes(name, secrets)


def compile_client_secrets(credentials: Credentials) -> Iterator[Secret]:
    """Yield the secrets of clients that can be had, of what DestinationRules name."""
    secrets = {
        name.removeprefix("kubernetes://"): each
        for name, each in credentials.items()
        if isinstance(each, declared.Secret)
    }
    for name, each in credentials.items():
        if isinstance(each, ConfigMap):
            if roots := each.data.get("ca.crt", "") or each.data.get("cacert", ""):
                yield _roots(name + _ROOTS, DataSource(inline_bytes=roots.encode()))
        elif name.endswith(_ROOTS):
            yield from _roots_of_kubernetes(credential_name(name), secrets)
        else:
            yield from _of_kubernetes(name.removeprefix("kubernetes://"), secrets)


def compile_client_files(of_clients: Iterable[ClientTLSSettings]) -> Iterator[Secret]:
    """Yield the secrets of files beside the proxy that clients' settings name.

    As secrets they are read again when they change, and a missing one stops nobody else.
    """
    for settings in of_clients:
        named = bool(settings.credential_name) and settings.ca_certificates != SYSTEM_ROOTS
        if named or settings.mode not in OWN_TLS:
            continue
        if settings.client_certificate and settings.mode is ClientTLSMode.MUTUAL:
            yield _of_files(settings.client_certificate, settings.private_key)
        if settings.ca_certificates in ("", SYSTEM_ROOTS):
            yield system_roots()
        else:
            found = _roots(
                roots_file_name(settings.ca_certificates),
                DataSource(filename=settings.ca_certificates),
            )
            directory = str(PurePosixPath(settings.ca_certificates).parent)
            found.validation_context.watched_directory.path = directory
            yield found


def system_roots() -> Secret:
    """What the proxy's host trusts. Where its agent found nothing, no server is trusted."""
    return _roots(roots_file_name(SYSTEM_ROOTS), DataSource(filename=_SYSTEM_ROOTS_FILE))


def _credentials(settings: ServerTLSSettings) -> tuple[str, ...]:
    return settings.credential_names or tuple(filter(None, [settings.credential_name]))


def _files(settings: ServerTLSSettings) -> Iterator[tuple[str, str]]:
    yield from ((each.server_certificate, each.private_key) for each in settings.tls_certificates)
    if settings.server_certificate:
        yield settings.server_certificate, settings.private_key


def _of_files(certificate: str, key: str) -> Secret:
    """Files beside the proxy, which reads them again when their directory changes."""
    watched = WatchedDirectory(path=str(PurePosixPath(certificate).parent))
    return Secret(
        name=certificate_file_name(certificate, key),
        tls_certificate=TlsCertificate(
            certificate_chain=DataSource(filename=certificate),
            private_key=DataSource(filename=key),
            watched_directory=watched,
        ),
    )


def _of_kubernetes(name: str, secrets: Mapping[str, declared.Secret]) -> Iterator[Secret]:
    secret = secrets.get(name)
    chain, key = _value(secret, "tls.crt", "cert"), _value(secret, "tls.key", "key")
    if chain and key:
        certificate = TlsCertificate(
            certificate_chain=DataSource(inline_bytes=chain),
            private_key=DataSource(inline_bytes=key),
        )
        yield Secret(name=credential_name(name), tls_certificate=certificate)


def _roots_of_kubernetes(name: str, secrets: Mapping[str, declared.Secret]) -> Iterator[Secret]:
    """The roots of ``web``'s clients are in Secret ``web-cacert``, else in ``web`` itself."""
    own = name.removeprefix("kubernetes://")
    secret = secrets.get(own) or secrets.get(own.removesuffix(_ROOTS))
    roots, revoked = _value(secret, "ca.crt", "cacert"), _value(secret, "ca.crl", "crl")
    if roots:
        found = _roots(name, DataSource(inline_bytes=roots))
        if revoked:
            found.validation_context.crl.inline_bytes = revoked
        yield found


def _roots(name: str, roots: DataSource) -> Secret:
    return Secret(name=name, validation_context=CertificateValidationContext(trusted_ca=roots))


def _value(secret: declared.Secret | None, *keys: str) -> bytes:
    """The first of these keys that a Secret has, decoded; nothing if it cannot be."""
    if secret is None:
        return b""
    for key in keys:
        if key in secret.string_data:
            return secret.string_data[key].encode()
        if key in secret.data:
            try:
                return b64decode(secret.data[key])
            except ValueError:
                return b""
    return b""
