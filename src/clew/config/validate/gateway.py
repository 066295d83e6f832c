"""Istio's admission rules for Gateway."""

from __future__ import annotations

from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding
from clew.config.validate.hosts import check_port, host_problem, is_dns_label, is_ip
from clew.model.gateway import Gateway, Server, ServerTLSMode, ServerTLSSettings

_PROTOCOLS = frozenset("HTTP HTTPS GRPC GRPC-WEB HTTP2 MONGO TCP TLS REDIS MYSQL".split())
_NEED_TLS = frozenset({"HTTPS", "TLS"})
_TERMINATING = (ServerTLSMode.SIMPLE, ServerTLSMode.MUTUAL, ServerTLSMode.OPTIONAL_MUTUAL)


def validate_gateway(resource: Gateway) -> Iterator[Finding]:
    servers = resource.spec.servers
    if not servers:
        yield Finding(("spec", "servers"), "a gateway needs at least one server")
    # Converted from the Gateway API, a listener without routes is open to no namespace: "~".
    generated = "internal.istio.io/gateway-semantics" in resource.metadata.annotations
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
    protocol = server.port.protocol.upper()
    if not server.bind.startswith("unix://"):
        yield from check_port(server.port.number, (*path, "port", "number"))
    if protocol not in _PROTOCOLS:
        problem = f'"{server.port.protocol}" is not a protocol'
        yield Finding(
            (*path, "port", "protocol"), problem, f"one of {', '.join(sorted(_PROTOCOLS))}"
        )
    if not server.port.name:
        yield Finding((*path, "port", "name"), "a port needs a name")
    if protocol in _NEED_TLS and server.tls is None:
        yield Finding((*path, "tls"), f"a server of protocol {protocol} needs tls")
    if server.tls is not None:
        if protocol in _NEED_TLS:
            yield from check_server_tls(server.tls, (*path, "tls"))
        elif server.tls != ServerTLSSettings(https_redirect=server.tls.https_redirect):
            problem = f"a server of protocol {protocol} can have httpsRedirect at most"
            yield Finding((*path, "tls"), problem)


def _check_hosts(server: Server, path: FieldPath, *, nobody: bool) -> Iterator[Finding]:
    if not server.hosts:
        yield Finding((*path, "hosts"), "a server needs at least one host")
    for index, text in enumerate(server.hosts):
        namespace, slash, host = text.rpartition("/")
        known = ("*", ".", "~") if nobody else ("*", ".")
        if slash and namespace not in known and not is_dns_label(namespace):
            yield Finding((*path, "hosts", index), f'"{namespace}" is not a namespace, "." or "*"')
        if is_ip(host):
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
    if tls.mode is ServerTLSMode.ISTIO_MUTUAL:
        others = {"privateKey": tls.private_key, "caCertificates": tls.ca_certificates}
        for name in [*given, *(name for name, value in others.items() if value)]:
            yield Finding((*path, name), "with ISTIO_MUTUAL the mesh brings the certificates")
    elif tls.mode in _TERMINATING:
        if len(given) > 1:
            yield Finding(path, f"set only one of {', '.join(given)}")
        yield from _check_certificates(tls, given, path)
    elif given:
        yield Finding(path, f"mode {tls.mode or 'PASSTHROUGH'} uses no certificates", warning=True)


def _check_certificates(
    tls: ServerTLSSettings, given: list[str], path: FieldPath
) -> Iterator[Finding]:
    if not {"credentialName", "credentialNames", "tlsCertificates"}.isdisjoint(given):
        return
    hint = "or name a secret: credentialName"
    if not tls.server_certificate:
        yield Finding((*path, "serverCertificate"), "the server certificate is missing", hint)
    if not tls.private_key:
        yield Finding((*path, "privateKey"), "the private key is missing", hint)
    mutual = tls.mode is not ServerTLSMode.SIMPLE
    if mutual and not (tls.ca_certificates or tls.ca_cert_credential_name):
        problem = f"mode {tls.mode} needs the CA of its clients"
        yield Finding((*path, "caCertificates"), problem)
