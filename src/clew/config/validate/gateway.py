"""Istio's admission rules for Gateway."""

from __future__ import annotations

from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding
from clew.config.validate.hosts import check_port, host_problem, is_dns_label, is_ip
from clew.model.gateway import Gateway, Server

_PROTOCOLS = frozenset("HTTP HTTPS GRPC GRPC-WEB HTTP2 MONGO TCP TLS REDIS MYSQL".split())
_NEED_TLS = frozenset({"HTTPS", "TLS"})


def validate_gateway(resource: Gateway) -> Iterator[Finding]:
    servers = resource.spec.servers
    if not servers:
        yield Finding(("spec", "servers"), "a gateway needs at least one server")
    names: set[str] = set()
    for index, server in enumerate(servers):
        path: FieldPath = ("spec", "servers", index)
        yield from _check_server(server, path)
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
    if protocol not in {*_NEED_TLS, "HTTP", "HTTP2", "GRPC"} and server.tls is not None:
        yield Finding((*path, "tls"), f"a server of protocol {protocol} cannot have tls")
    yield from _check_hosts(server, path)


def _check_hosts(server: Server, path: FieldPath) -> Iterator[Finding]:
    if not server.hosts:
        yield Finding((*path, "hosts"), "a server needs at least one host")
    for index, text in enumerate(server.hosts):
        namespace, slash, host = text.rpartition("/")
        if slash and namespace not in ("*", ".", "~") and not is_dns_label(namespace):
            yield Finding((*path, "hosts", index), f'"{namespace}" is not a namespace, "." or "*"')
        if is_ip(host):
            continue
        if problem := host_problem(host):
            yield Finding((*path, "hosts", index), problem)
        elif host != "*" and "." not in host:
            problem = f'"{host}" is a short name'
            yield Finding((*path, "hosts", index), problem, "a gateway needs full host names")
