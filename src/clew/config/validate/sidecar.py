"""Istio's admission rules for Sidecar."""

from __future__ import annotations

from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding
from clew.config.validate.gateway import check_server_tls
from clew.config.validate.hosts import check_port, host_problem, is_host_label
from clew.config.validate.protocols import check_protocol, is_http, is_tls
from clew.config.validate.selectors import check_workload_selector
from clew.config.validate.sockets import UNIX, check_socket
from clew.config.validate.traffic_policy import check_connection_pool
from clew.model.addresses import is_ip
from clew.model.gateway import ServerTLSMode, ServerTLSSettings
from clew.model.sidecar import (
    CaptureMode,
    IstioEgressListener,
    IstioIngressListener,
    OutboundTrafficPolicy,
    OutboundTrafficPolicyMode,
    Sidecar,
    SidecarPort,
)

_LOCAL = frozenset({"", "127.0.0.1", "0.0.0.0"})
_IN_BRACKETS = frozenset(f"[{address}]" for address in (*_LOCAL, "::1", "::"))


def validate_sidecar(resource: Sidecar) -> Iterator[Finding]:
    spec = resource.spec
    yield from check_workload_selector(spec.workload_selector)
    policies = (spec.inbound_connection_pool, spec.outbound_traffic_policy)
    if not spec.ingress and not spec.egress and not any(policies):
        problem = "set ingress, egress, inboundConnectionPool or outboundTrafficPolicy"
        yield Finding(("spec",), problem)
    yield from check_connection_pool(
        spec.inbound_connection_pool, ("spec", "inboundConnectionPool")
    )
    yield from _check_unique_ports(spec.ingress)
    for index, ingress in enumerate(spec.ingress):
        yield from _check_ingress(ingress, ("spec", "ingress", index))
    yield from _check_order(spec.egress)
    for index, egress in enumerate(spec.egress):
        path: FieldPath = ("spec", "egress", index)
        yield from _check_egress(egress, path)
        yield from _check_repeated(egress.hosts, resource.metadata.namespace, (*path, "hosts"))
    if spec.outbound_traffic_policy is not None:
        yield from _check_egress_proxy(spec.outbound_traffic_policy)


def _check_unique_ports(listeners: tuple[IstioIngressListener, ...]) -> Iterator[Finding]:
    numbers = [listener.port.number for listener in listeners]
    for index, number in enumerate(numbers):
        if number in numbers[:index]:
            at: FieldPath = ("spec", "ingress", index, "port", "number")
            yield Finding(at, f"port {number} is there twice")


def _check_ingress(listener: IstioIngressListener, path: FieldPath) -> Iterator[Finding]:
    if listener.bind and not is_ip(listener.bind):
        yield Finding((*path, "bind"), f'"{listener.bind}" is not an IP address')
    yield from check_port(listener.port.number or 0, (*path, "port", "number"))
    yield from _check_port_names(listener.port, (*path, "port"))
    if listener.default_endpoint:
        yield from _check_endpoint(listener.default_endpoint, (*path, "defaultEndpoint"))
    pool = listener.connection_pool
    yield from check_connection_pool(pool, (*path, "connectionPool"))
    if pool is not None and pool.http is not None and not is_http(listener.port.protocol):
        problem = f"the protocol {listener.port.protocol} is not HTTP: only tcp has an effect"
        yield Finding((*path, "connectionPool", "http"), problem, warning=True)
    if listener.tls is not None:
        if not is_tls(listener.port.protocol):
            yield Finding((*path, "tls"), "only ports of protocol HTTPS or TLS terminate TLS")
        yield from _check_tls(listener.tls, (*path, "tls"))


def _check_port_names(port: SidecarPort, path: FieldPath) -> Iterator[Finding]:
    if port.name and not is_host_label(port.name):
        yield Finding((*path, "name"), f'"{port.name}" is not a port name')
    yield from check_protocol(port.protocol, (*path, "protocol"))
    if port.target_port:
        yield Finding((*path, "targetPort"), "targetPort has no effect on sidecars")


def _check_endpoint(endpoint: str, path: FieldPath) -> Iterator[Finding]:
    if endpoint.startswith(UNIX):
        yield from check_socket(endpoint, path)
        return
    address, colon, port = endpoint.rpartition(":")
    local = colon and address in _LOCAL | _IN_BRACKETS
    if not local or not (port.isdecimal() and 1 <= int(port) <= 65535):
        hint = "127.0.0.1:PORT, [::1]:PORT, 0.0.0.0:PORT, [::]:PORT or unix:///path"
        yield Finding(path, f'"{endpoint}" is not an endpoint of this workload', hint)


def _check_tls(tls: ServerTLSSettings, path: FieldPath) -> Iterator[Finding]:
    """A sidecar terminates TLS with files only."""
    if tls.mode in (ServerTLSMode.ISTIO_MUTUAL, ServerTLSMode.AUTO_PASSTHROUGH):
        yield Finding((*path, "mode"), "a sidecar knows only the modes SIMPLE and MUTUAL")
    else:
        yield from check_server_tls(tls, path)
    unknown = {
        "httpsRedirect": tls.https_redirect,
        "subjectAltNames": tls.subject_alt_names,
        "credentialName": tls.credential_name,
        "credentialNames": tls.credential_names,
        "tlsCertificates": tls.tls_certificates,
    }
    for name, value in unknown.items():
        if value:
            yield Finding((*path, name), f"a sidecar does not know {name}")


def _check_order(listeners: tuple[IstioEgressListener, ...]) -> Iterator[Finding]:
    """A listener without a port takes what is left, so it is the last; others are distinct."""
    seen: set[tuple[str, int]] = set()
    for index, listener in enumerate(listeners):
        path: FieldPath = ("spec", "egress", index)
        if listener.port is None:
            if index < len(listeners) - 1:
                yield Finding(path, "a listener without a port must be the last")
            continue
        number = listener.port.number or 0
        address = listener.bind if listener.bind.startswith(UNIX) else ""
        if (address, number) in seen:
            yield Finding(path, f"there is another listener on {address or f'port {number}'}")
        seen.add((address, number))


def _check_egress(listener: IstioEgressListener, path: FieldPath) -> Iterator[Finding]:
    if listener.port is None:
        if listener.bind:
            problem = "without a port there is nothing to bind: this is ignored"
            yield Finding((*path, "bind"), problem, warning=True)
    else:
        yield from _check_port_names(listener.port, (*path, "port"))
        yield from _check_bind(listener, listener.port.number or 0, path)
    if not listener.hosts:
        yield Finding((*path, "hosts"), "at least one host is needed")
    for index, host in enumerate(listener.hosts):
        yield from _check_host(host, (*path, "hosts", index))


def _check_bind(listener: IstioEgressListener, number: int, path: FieldPath) -> Iterator[Finding]:
    """An IP address and a port, or a Unix socket and port 0.

    Source: istio ``validateSidecarEgressPortBindAndCaptureMode``.
    """
    socket = listener.bind.startswith(UNIX)
    if number or not socket:
        yield from check_port(number, (*path, "port", "number"))
    if number and listener.bind and not is_ip(listener.bind):
        yield Finding((*path, "bind"), f'"{listener.bind}" is not an IP address')
    if not number and socket:
        yield from check_socket(listener.bind, (*path, "bind"))
        if listener.capture_mode not in (None, CaptureMode.DEFAULT, CaptureMode.NONE):
            problem = "traffic to a Unix socket cannot be captured"
            yield Finding((*path, "captureMode"), problem)


def _check_repeated(hosts: tuple[str, ...], namespace: str, path: FieldPath) -> Iterator[Finding]:
    """Warn of hosts that others take in already; what begins with ``~`` takes out."""
    seen: dict[str, set[str]] = {}
    for index, text in enumerate(hosts):
        where, slash, host = text.partition("/")
        if not slash or where.startswith("~"):
            continue
        others = seen.setdefault(namespace if where == "." else where, set())
        if host in others or "*" in others or (host == "*" and others):
            yield Finding((*path, index), f'"{text}" is there already', warning=True)
        others.add(host)
    if "*" in seen.get("*", ()) and len(seen) > 1:
        yield Finding(path, '"*/*" takes in all others', warning=True)


def _check_host(text: str, path: FieldPath) -> Iterator[Finding]:
    """``namespace/host``; a namespace that begins with ``~`` is left out."""
    namespace, slash, host = text.partition("/")
    if not slash:
        yield Finding(path, f'"{text}" is not <namespace>/<host>', f"*/{text} is in all namespaces")
        return
    name = namespace.removeprefix("~")
    if namespace not in ("*", ".", "~") and name not in ("*", ".") and not is_host_label(name):
        yield Finding(path, f'"{namespace}" is not a namespace, "." or "*"')
    problem = host_problem(host)
    if not problem and host != "*" and "." not in host:
        problem = f'"{host}" is a short name, and full host names are needed'
    if not problem and host.startswith("*") and host != "*" and not host.startswith("*."):
        problem = f'"{host}": * must stand for a whole label'
    if problem:
        yield Finding(path, problem)


def _check_egress_proxy(policy: OutboundTrafficPolicy) -> Iterator[Finding]:
    if (proxy := policy.egress_proxy) is None:
        return
    path: FieldPath = ("spec", "outboundTrafficPolicy", "egressProxy")
    if policy.mode is not OutboundTrafficPolicyMode.ALLOW_ANY:
        yield Finding(path, "only mode ALLOW_ANY has traffic for an egress proxy")
    if problem := host_problem(proxy.host, wildcard=False):
        yield Finding((*path, "host"), problem)
    if proxy.port is None or proxy.port.number is None:
        yield Finding((*path, "port"), "the port is missing")
    else:
        yield from check_port(proxy.port.number, (*path, "port", "number"))
    if proxy.subset and not is_host_label(proxy.subset):
        yield Finding((*path, "subset"), f'"{proxy.subset}" is not a subset name')
