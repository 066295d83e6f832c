"""Istio's admission rules for Sidecar."""

from __future__ import annotations

from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding
from clew.config.validate.hosts import check_port, host_problem, is_dns_label, is_ip
from clew.config.validate.selectors import check_workload_selector
from clew.config.validate.traffic_policy import check_connection_pool
from clew.model.gateway import ServerTLSMode, ServerTLSSettings
from clew.model.sidecar import (
    CaptureMode,
    IstioEgressListener,
    IstioIngressListener,
    OutboundTrafficPolicy,
    Sidecar,
)

_UNIX = "unix://"
_LOCAL = frozenset({"127.0.0.1", "0.0.0.0", "[::1]", "[::]"})


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
        yield from _check_egress(egress, ("spec", "egress", index))
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
    if listener.default_endpoint:
        yield from _check_endpoint(listener.default_endpoint, (*path, "defaultEndpoint"))
    yield from check_connection_pool(listener.connection_pool, (*path, "connectionPool"))
    if listener.tls is not None:
        yield from _check_tls(listener.tls, (*path, "tls"))


def _check_endpoint(endpoint: str, path: FieldPath) -> Iterator[Finding]:
    if endpoint.startswith(_UNIX):
        if len(endpoint.removeprefix(_UNIX).strip("/")) == 0:
            yield Finding(path, "the path of the Unix socket is missing")
        return
    address, _, port = endpoint.rpartition(":")
    if address not in _LOCAL or not (port.isdecimal() and 1 <= int(port) <= 65535):
        hint = "127.0.0.1:PORT, [::1]:PORT, 0.0.0.0:PORT, [::]:PORT or unix:///path"
        yield Finding(path, f'"{endpoint}" is not an endpoint of this workload', hint)


def _check_tls(tls: ServerTLSSettings, path: FieldPath) -> Iterator[Finding]:
    """A sidecar terminates TLS with files only."""
    if tls.mode not in (ServerTLSMode.SIMPLE, ServerTLSMode.MUTUAL):
        yield Finding((*path, "mode"), "a sidecar knows only the modes SIMPLE and MUTUAL")
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
        address = listener.bind if listener.bind.startswith(_UNIX) else ""
        if (address, number) in seen:
            yield Finding(path, f"there is another listener on {address or f'port {number}'}")
        seen.add((address, number))


def _check_egress(listener: IstioEgressListener, path: FieldPath) -> Iterator[Finding]:
    socket = listener.bind.startswith(_UNIX)
    if listener.bind and not socket and not is_ip(listener.bind):
        yield Finding((*path, "bind"), f'"{listener.bind}" is not an IP address or unix://path')
    if listener.port is None:
        if listener.bind:
            yield Finding((*path, "bind"), "without a port there is nothing to bind")
    elif not socket:
        yield from check_port(listener.port.number or 0, (*path, "port", "number"))
    if socket and listener.capture_mode not in (None, CaptureMode.DEFAULT, CaptureMode.NONE):
        yield Finding((*path, "captureMode"), "traffic to a Unix socket cannot be captured")
    if not listener.hosts:
        yield Finding((*path, "hosts"), "at least one host is needed")
    for index, host in enumerate(listener.hosts):
        yield from _check_host(host, (*path, "hosts", index))


def _check_host(text: str, path: FieldPath) -> Iterator[Finding]:
    """``namespace/host``; a namespace that begins with ``~`` is left out."""
    namespace, slash, host = text.partition("/")
    if not slash:
        yield Finding(path, f'"{text}" is not <namespace>/<host>', f"*/{text} is in all namespaces")
        return
    name = namespace.removeprefix("~")
    if namespace not in ("*", ".", "~") and name not in ("*", ".") and not is_dns_label(name):
        yield Finding(path, f'"{namespace}" is not a namespace, "." or "*"')
    problem = host_problem(host)
    if not problem and host.startswith("*") and host != "*" and not host.startswith("*."):
        problem = f'"{host}": * must stand for a whole label'
    if problem:
        yield Finding(path, problem)


def _check_egress_proxy(policy: OutboundTrafficPolicy) -> Iterator[Finding]:
    if (proxy := policy.egress_proxy) is None:
        return
    path: FieldPath = ("spec", "outboundTrafficPolicy", "egressProxy")
    if problem := host_problem(proxy.host, wildcard=False):
        yield Finding((*path, "host"), problem)
    if proxy.port is None or proxy.port.number is None:
        yield Finding((*path, "port"), "the port is missing")
    else:
        yield from check_port(proxy.port.number, (*path, "port", "number"))
