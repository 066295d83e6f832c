"""Istio's admission rules for ServiceEntry."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding
from clew.config.validate.hosts import check_export_to, check_port, host_problem, is_ip
from clew.config.validate.selectors import check_workload_selector
from clew.model.service_entry import Resolution, ServiceEntry, ServiceEntrySpec

_NAMES_ITS_HOST = frozenset({"HTTP", "HTTP2", "GRPC", "HTTPS", "TLS"})


def validate_service_entry(resource: ServiceEntry) -> Iterator[Finding]:
    spec, namespace = resource.spec, resource.metadata.namespace
    if not spec.hosts:
        yield Finding(("spec", "hosts"), "a service entry needs at least one host")
    for index, host in enumerate(spec.hosts):
        if host == "*":
            yield Finding(
                ("spec", "hosts", index), '"*" is too wide', "name a domain: *.example.com"
            )
        elif problem := host_problem(host):
            yield Finding(("spec", "hosts", index), problem)
    yield from check_export_to(spec.export_to, namespace, ("spec", "exportTo"), nowhere=True)
    yield from _check_addresses(spec)
    yield from _check_ports(spec)
    yield from _check_endpoints(spec)
    yield from check_workload_selector(spec.workload_selector)
    if spec.resolution is Resolution.DYNAMIC_DNS:
        yield from _check_dynamic_dns(spec)


def _check_addresses(spec: ServiceEntrySpec) -> Iterator[Finding]:
    for index, address in enumerate(spec.addresses):
        try:
            ipaddress.ip_network(address, strict=False)
        except ValueError:
            yield Finding(("spec", "addresses", index), f'"{address}" is not an IP address or CIDR')


def _check_ports(spec: ServiceEntrySpec) -> Iterator[Finding]:
    names: set[str] = set()
    numbers: set[int] = set()
    for index, port in enumerate(spec.ports):
        path: FieldPath = ("spec", "ports", index)
        yield from check_port(port.number, (*path, "number"))
        yield from check_port(port.target_port, (*path, "targetPort"))
        if port.name in names:
            yield Finding((*path, "name"), f'the port name "{port.name}" is there twice')
        if port.number in numbers:
            yield Finding((*path, "number"), f"port {port.number} is there twice")
        names.add(port.name)
        numbers.add(port.number)


def _check_endpoints(spec: ServiceEntrySpec) -> Iterator[Finding]:
    path: FieldPath = ("spec", "endpoints")
    if spec.endpoints and spec.workload_selector is not None:
        yield Finding(path, "endpoints and workloadSelector exclude each other")
    resolution = spec.resolution or Resolution.NONE
    if resolution is Resolution.NONE and spec.endpoints:
        yield Finding(path, "resolution NONE cannot have endpoints", "use STATIC or DNS")
    if resolution is Resolution.DNS_ROUND_ROBIN and len(spec.endpoints) > 1:
        yield Finding(path, "resolution DNS_ROUND_ROBIN can have only one endpoint")
    names = {port.name for port in spec.ports}
    for index, endpoint in enumerate(spec.endpoints):
        address = endpoint.address or ""
        at = (*path, index, "address")
        if resolution is Resolution.STATIC:
            if not is_ip(address) and not address.startswith("unix://"):
                yield Finding(
                    at, f'"{address}" is not an IP address', "use resolution DNS for names"
                )
        elif address and not is_ip(address) and (problem := host_problem(address)):
            yield Finding(at, problem)
        elif not address and not endpoint.network:
            yield Finding(at, "the address is missing", "only endpoints of a network need none")
        for name, number in endpoint.ports.items():
            yield from check_port(number, (*path, index, "ports", name))
        for name in endpoint.ports.keys() - names:
            yield Finding((*path, index, "ports", name), f'there is no service port named "{name}"')
    if not spec.endpoints and resolution is Resolution.DNS:
        for index, host in enumerate(spec.hosts):
            if host.startswith("*"):
                problem = "a wildcard cannot be resolved by DNS without endpoints"
                yield Finding(("spec", "hosts", index), problem)


def _check_dynamic_dns(spec: ServiceEntrySpec) -> Iterator[Finding]:
    """Hosts are resolved when a request names them, so there is nothing else to declare."""
    for index, host in enumerate(spec.hosts):
        if not host.startswith("*"):
            problem = "DYNAMIC_DNS is for wildcard hosts"
            yield Finding(("spec", "hosts", index), problem, "use resolution DNS")
    if spec.addresses:
        yield Finding(("spec", "addresses"), "resolution DYNAMIC_DNS cannot have addresses")
    if spec.endpoints:
        yield Finding(("spec", "endpoints"), "resolution DYNAMIC_DNS cannot have endpoints")
    for index, port in enumerate(spec.ports):
        if port.protocol.upper() not in _NAMES_ITS_HOST:
            problem = f'"{port.protocol}" does not carry the host that DYNAMIC_DNS needs'
            yield Finding(("spec", "ports", index, "protocol"), problem)
