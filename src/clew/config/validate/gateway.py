"""Istio's admission rules for Gateway."""

from __future__ import annotations

from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding
from clew.config.validate.hosts import check_port, host_problem, is_host_label
from clew.config.validate.protocols import check_protocol, is_http, is_tls
from clew.config.validate.sockets import UNIX, check_socket
from clew.config.validate.tls_parameters import check_cipher_suites, check_curves
from clew.model.addresses import is_ip
from clew.model.gateway import (
    Gateway,
    Server,
    ServerTLSMode,
    ServerTLSSettings,
    TLSProtocol,
)

_OLD_VERSIONS = (TLSProtocol.TLSV1_0, TLSProtocol.TLSV1_1)
_PASSES_THROUGH = (None, ServerTLSMode.PASSTHROUGH, ServerTLSMode.AUTO_PASSTHROUGH)
_TERMINATING = (ServerTLSMode.SIMPLE, ServerTLSMode.MUTUAL, ServerTLSMode.OPTIONAL_MUTUAL)


def validate_gateway(resource: Gateway) -> Iterator[Finding]:
    servers = resource.spec.servers
    if not servers:
        yield Finding(("spec", "servers"), "a gateway needs at least one server")
    # Converted from the Gateway API, a listener without routes is open to no namespace: "~".
    generated = "internal.istio.io/gateway-semantics" in resource.metadata.annotations
    if not generated and resource.metadata.name and not is_host_label(resource.metadata.name):
        yield Finding(
            ("metadata", "name"), "a gateway's name has no dots, and 63 characters at most"
        )
    names: set[str] = set()
    for index, server in enumerate(servers):
        path: FieldPath = ("spec", "servers", index)
        yield from _check_server(server, path)
        yield from _check_hosts(server, path, nobody=generated)
        if server.port.name in names:
            problem = f'the port name "{server.port.name}" is there twice'
            yield Finding((*path, "port", "name"), problem)
        names.add(server.port.name)


def _check_server(server: Server, path: FieldPath) -> Iterator[Finding]:
    yield from _check_bind(server, path)
    yield from check_protocol(server.port.protocol, (*path, "port", "protocol"), required=True)
    if not server.port.name:
        yield Finding((*path, "port", "name"), "a port needs a name")
    if server.port.target_port:
        yield Finding((*path, "port", "targetPort"), "targetPort has no effect on gateways")
    if is_tls(server.port.protocol) and server.tls is None:
        yield Finding((*path, "tls"), f"a server of protocol {server.port.protocol} needs tls")
    if server.tls is not None:
        yield from _check_plain(server, server.tls, (*path, "tls"))
        yield from check_server_tls(server.tls, (*path, "tls"))


def _check_bind(server: Server, path: FieldPath) -> Iterator[Finding]:
    """An IP address and a port, or a Unix socket and port 0."""
    number, socket = server.port.number, server.bind.startswith(UNIX)
    if number or not socket:
        yield from check_port(number, (*path, "port", "number"))
    if socket:
        yield from check_socket(server.bind, (*path, "bind"))
        if number:
            yield Finding((*path, "port", "number"), "the port of a Unix socket is 0")
    elif server.bind and not is_ip(server.bind):
        yield Finding((*path, "bind"), f'"{server.bind}" is not an IP address or unix://path')


def _check_plain(server: Server, tls: ServerTLSSettings, path: FieldPath) -> Iterator[Finding]:
    """What is not TLS can have httpsRedirect at most."""
    protocol = server.port.protocol
    certificates = (tls.server_certificate, tls.private_key, tls.ca_certificates)
    terminates = tls.mode not in _PASSES_THROUGH or any(certificates)
    if not is_tls(protocol) and (terminates or not is_http(protocol)):
        yield Finding(path, f"a server of protocol {protocol} can have httpsRedirect at most")
    if tls.https_redirect and not is_http(protocol):
        problem = "only servers of HTTP redirect to HTTPS"
        yield Finding((*path, "httpsRedirect"), problem, warning=True)


def _check_hosts(server: Server, path: FieldPath, *, nobody: bool) -> Iterator[Finding]:
    if not server.hosts:
        yield Finding((*path, "hosts"), "a server needs at least one host")
    for index, text in enumerate(server.hosts):
        namespace, slash, host = text.rpartition("/")
        known = ("*", ".", "~") if nobody else ("*", ".")
        if slash and namespace not in known and not is_host_label(namespace):
            yield Finding((*path, "hosts", index), f'"{namespace}" is not a namespace, "." or "*"')
        if is_ip(host) and "." in host:
            continue
        if problem := host_problem(host):
            yield Finding((*path, "hosts", index), problem)
        elif host.startswith("*") and host != "*" and not host.startswith("*."):
            yield Finding((*path, "hosts", index), f'"{host}": * must stand for a whole label')
        elif host != "*" and "." not in host:
            problem = f'"{host}" is a short name'
            yield Finding((*path, "hosts", index), problem, "a gateway needs full host names")


def check_server_tls(tls: ServerTLSSettings, path: FieldPath) -> Iterator[Finding]:
    """One source of certificates, and what the mode needs.

    Source: istio ``validateTLSOptions``.
    """
    sources = {
        "credentialName": tls.credential_name,
        "credentialNames": tls.credential_names,
        "tlsCertificates": tls.tls_certificates,
        "serverCertificate": tls.server_certificate,
    }
    given = [name for name, value in sources.items() if value]
    others = {"privateKey": tls.private_key, "caCertificates": tls.ca_certificates}
    complete = [name for name in given if name != "serverCertificate" or tls.private_key]
    yield from _check_parameters(tls, path)
    if tls.mode is ServerTLSMode.ISTIO_MUTUAL:
        for name in [*given, *(name for name, value in others.items() if value)]:
            yield Finding((*path, name), "with ISTIO_MUTUAL the mesh brings the certificates")
        return
    if len(complete) > 1:
        yield Finding(path, f"set only one of {', '.join(complete)}")
    if tls.mode in _TERMINATING:
        yield from _check_certificates(tls, given, path)
    elif given or any(others.values()) or tls.ca_crl:
        yield Finding(path, f"mode {tls.mode or 'PASSTHROUGH'} uses no certificates", warning=True)


def _check_parameters(tls: ServerTLSSettings, path: FieldPath) -> Iterator[Finding]:
    yield from check_cipher_suites(tls.cipher_suites, (*path, "cipherSuites"))
    yield from check_curves(tls.ecdh_curves, (*path, "ecdhCurves"))
    if tls.min_protocol_version in _OLD_VERSIONS and not tls.cipher_suites:
        problem = f"{tls.min_protocol_version} needs cipherSuites: the default ones are too new"
        yield Finding((*path, "minProtocolVersion"), problem, warning=True)


def _check_certificates(
    tls: ServerTLSSettings, given: list[str], path: FieldPath
) -> Iterator[Finding]:
    if not {"credentialName", "credentialNames"}.isdisjoint(given):
        return
    hint = "or name a secret: credentialName"
    pairs = [(path, tls.server_certificate, tls.private_key)]
    if tls.tls_certificates:
        pairs = [
            ((*path, "tlsCertificates", index), each.server_certificate, each.private_key)
            for index, each in enumerate(tls.tls_certificates)
        ]
    for at, certificate, key in pairs:
        if not certificate:
            yield Finding((*at, "serverCertificate"), "the server certificate is missing", hint)
        if not key:
            yield Finding((*at, "privateKey"), "the private key is missing", hint)
    if tls.mode is ServerTLSMode.SIMPLE:
        if tls.ca_crl:
            yield Finding((*path, "caCrl"), "mode SIMPLE verifies no certificate of a client")
    elif not (tls.ca_certificates or tls.ca_cert_credential_name):
        problem = f"mode {tls.mode} needs the CA of its clients"
        yield Finding((*path, "caCertificates"), problem)
