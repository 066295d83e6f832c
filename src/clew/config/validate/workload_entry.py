"""Istio's admission rules for WorkloadEntry, and for the endpoints that have its shape."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from clew.config.finding import FieldPath, Finding
from clew.config.validate.hosts import check_port, host_problem
from clew.config.validate.selectors import check_instance_labels
from clew.config.validate.sockets import UNIX, check_socket
from clew.model.addresses import is_ip
from clew.model.workload_entry import WorkloadEntry, WorkloadEntrySpec

_PORT_NAME = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?")


def validate_workload_entry(resource: WorkloadEntry) -> Iterator[Finding]:
    spec = resource.spec
    if not spec.address and not spec.network:
        problem = "the address is missing"
        yield Finding(("spec", "address"), problem, "only workloads of a network need none")
    elif not spec.address:
        problem = f'without an address it is reached through network "{spec.network}" only'
        yield Finding(("spec", "address"), problem, warning=True)
    yield from check_workload(spec, ("spec",))


def check_workload(spec: WorkloadEntrySpec, path: FieldPath) -> Iterator[Finding]:
    """Yield what is wrong with the address, ports or labels; an address may be missing."""
    address = spec.address
    by_name = address and not address.startswith(UNIX) and not is_ip(address)
    if by_name and (problem := host_problem(address, wildcard=False)):
        yield Finding((*path, "address"), problem)
    yield from check_instance_labels(spec.labels, (*path, "labels"))
    yield from check_place(spec, path)


def check_place(spec: WorkloadEntrySpec, path: FieldPath) -> Iterator[Finding]:
    """The part that the CRDs check, which holds for the template of a group, too."""
    if spec.address.startswith(UNIX):
        yield from check_socket(spec.address, (*path, "address"))
        if spec.ports:
            yield Finding((*path, "ports"), "a Unix socket has no ports")
    yield from _check_ports(spec.ports, (*path, "ports"))


def _check_ports(ports: Mapping[str, int], path: FieldPath) -> Iterator[Finding]:
    for name, number in ports.items():
        if len(name) >= 63 or not _PORT_NAME.fullmatch(name):
            yield Finding((*path, name), f'"{name}" is not a port name')
        yield from check_port(number, (*path, name))
