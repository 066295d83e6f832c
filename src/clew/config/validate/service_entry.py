"""Istio's admission rules for ServiceEntry."""

from __future__ import annotations

from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding
from clew.config.validate.hosts import (
    check_export_to,
    check_port,
    host_problem,
    is_host_label,
)
from clew.config.validate.protocols import check_protocol, is_http, is_tcp, is_tls
from clew.config.validate.scalars import is_address_or_range
from clew.config.validate.selectors import check_workload_selector
from clew.config.validate.sockets import UNIX
from clew.config.validate.workload_entry import check_workload
from clew.model.addresses import is_ip
from clew.model.service_entry import Location, Resolution, ServiceEntry, ServiceEntrySpec
from clew.model.workload_entry import WorkloadEntrySpec

_WITH_RANGES = (None, Resolution.NONE, Resolution.STATIC)
_BY_DNS = (Resolution.DNS, Resolution.DNS_ROUND_ROBIN)
_NAMES_ITS_HOST = frozenset({"HTTP", "HTTP2", "GRPC", "TLS"})


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
        elif spec.resolution is not Resolution.DYNAMIC_DNS and _is_part_of_a_label(host):
            problem = f'"{host}": * should stand for a whole label'
            yield Finding(("spec", "hosts", index), problem, warning=True)
    yield from check_export_to(spec.export_to, namespace, ("spec", "exportTo"), nowhere=True)
    yield from _check_addresses(spec)
    yield from _check_ports(spec)
    yield from _check_undecided(resource)
    yield from _check_endpoints(spec)
    yield from check_workload_selector(spec.workload_selector)
    if spec.resolution is Resolution.DYNAMIC_DNS:
        yield from _check_dynamic_dns(resource)


def _is_part_of_a_label(host: str) -> bool:
    return host.startswith("*") and not host.startswith("*.")


def _check_addresses(spec: ServiceEntrySpec) -> Iterator[Finding]:
    for index, address in enumerate(spec.addresses):
        at: FieldPath = ("spec", "addresses", index)
        if not is_address_or_range(address):
            yield Finding(at, f'"{address}" is not an IP address or CIDR')
        elif "/" in address and spec.resolution not in _WITH_RANGES:
            yield Finding(at, f"resolution {spec.resolution} has no ranges of addresses")


def _check_undecided(resource: ServiceEntry) -> Iterator[Finding]:
    """Warn of what cannot be told apart, or has no effect."""
    spec, labels = resource.spec, resource.metadata.labels
    resolution = spec.resolution or Resolution.NONE
    refused = labels.get("networking.istio.io/enable-autoallocate-ip", "").lower() == "false"
    if not spec.addresses and (refused or resolution is Resolution.NONE):
        for index, port in enumerate(spec.ports):
            if port.protocol in ("", "TCP"):
                problem = "without addresses, TCP of this port is not told from any other's"
                yield Finding(("spec", "ports", index), problem, warning=True)
    if spec.workload_selector is not None and resolution is Resolution.NONE:
        problem = "with resolution NONE no workload is selected"
        yield Finding(("spec", "workloadSelector"), problem, "use STATIC", warning=True)
    yield from _check_several_hosts(spec, resolution)


def _check_several_hosts(spec: ServiceEntrySpec, resolution: Resolution) -> Iterator[Finding]:
    if len(spec.hosts) < 2 or resolution is Resolution.NONE:
        return
    protocols = [port.protocol for port in spec.ports]
    if spec.addresses and resolution in _BY_DNS and any(map(is_tcp, protocols)):
        problem = "hosts that share addresses cannot be told apart on TCP ports"
        yield Finding(("spec", "hosts"), problem, warning=True)
    if not all(is_http(protocol) or is_tls(protocol) for protocol in protocols):
        problem = "several hosts need ports of HTTP or TLS only, which name the host"
        yield Finding(("spec", "hosts"), problem)


def _check_ports(spec: ServiceEntrySpec) -> Iterator[Finding]:
    names: set[str] = set()
    numbers: set[int] = set()
    for index, port in enumerate(spec.ports):
        path: FieldPath = ("spec", "ports", index)
        yield from check_port(port.number, (*path, "number"))
        yield from check_port(port.target_port or None, (*path, "targetPort"))
        yield from check_protocol(port.protocol, (*path, "protocol"))
        if not is_host_label(port.name):
            yield Finding((*path, "name"), f'"{port.name}" is not a port name')
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
    for index, endpoint in enumerate(spec.endpoints):
        yield from _check_endpoint(endpoint, spec, (*path, index))
    if not spec.endpoints and resolution in _BY_DNS:
        for index, host in enumerate(spec.hosts):
            if host_problem(host, wildcard=False):
                problem = f'"{host}" cannot be resolved by DNS without endpoints'
                yield Finding(("spec", "hosts", index), problem)


def _check_endpoint(
    endpoint: WorkloadEntrySpec, spec: ServiceEntrySpec, path: FieldPath
) -> Iterator[Finding]:
    address, at = endpoint.address, (*path, "address")
    static = spec.resolution is Resolution.STATIC
    yield from check_workload(endpoint, path)
    if not address and (not endpoint.network or spec.resolution in _BY_DNS):
        yield Finding(at, "the address is missing", "only endpoints of a network need none")
    elif static and not address:
        problem = f'without an address it is reached through network "{endpoint.network}" only'
        yield Finding(at, problem, warning=True)
    elif static and address.startswith(UNIX):
        if len(spec.ports) != 1:
            yield Finding(at, "a Unix socket is the endpoint of exactly one port")
    elif static and address and not is_ip(address):
        yield Finding(at, f'"{address}" is not an IP address', "use resolution DNS for names")
    elif not static and address.startswith(UNIX):
        yield Finding(at, "a Unix socket needs resolution STATIC")
    for name in endpoint.ports.keys() - {port.name for port in spec.ports}:
        yield Finding((*path, "ports", name), f'there is no service port named "{name}"')


def _check_dynamic_dns(resource: ServiceEntry) -> Iterator[Finding]:
    """Hosts are resolved when a request names them, so there is nothing else to declare."""
    spec, waypoint = resource.spec, resource.metadata.labels.get("istio.io/use-waypoint", "")
    if waypoint.lower() not in ("", "none") and spec.location is Location.MESH_INTERNAL:
        problem = "with a waypoint, DYNAMIC_DNS is for hosts outside of the mesh"
        yield Finding(("spec", "location"), problem, "use location MESH_EXTERNAL")
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
