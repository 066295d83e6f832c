"""Istio's admission rules for WorkloadGroup."""

from __future__ import annotations

import re
from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding
from clew.config.validate.hosts import check_port
from clew.config.validate.scalars import check_not_negative
from clew.config.validate.selectors import check_instance_labels
from clew.config.validate.workload_entry import check_place
from clew.model.pod import Probe
from clew.model.workload_group import WorkloadGroup

_HEADER = re.compile(r"[-A-Za-z0-9]+")


def validate_workload_group(resource: WorkloadGroup) -> Iterator[Finding]:
    spec = resource.spec
    yield from check_place(spec.template, ("spec", "template"))
    if spec.metadata is not None:
        yield from check_instance_labels(spec.metadata.labels, ("spec", "metadata", "labels"))
    if spec.probe is not None:
        yield from _check_probe(spec.probe, ("spec", "probe"))


def _check_probe(probe: Probe, path: FieldPath) -> Iterator[Finding]:
    actions = (probe.http_get, probe.tcp_socket, probe.exec, probe.grpc)
    if sum(action is not None for action in actions) != 1:
        yield Finding(path, "set exactly one of httpGet, tcpSocket, exec and grpc")
    seconds = {
        "initialDelaySeconds": probe.initial_delay_seconds,
        "periodSeconds": probe.period_seconds,
        "timeoutSeconds": probe.timeout_seconds,
        "successThreshold": probe.success_threshold,
        "failureThreshold": probe.failure_threshold,
    }
    for name, value in seconds.items():
        yield from check_not_negative(value, (*path, name))
    if probe.exec is not None and not probe.exec.command:
        yield Finding((*path, "exec", "command"), "the command is missing")
    if probe.http_get is not None and probe.http_get.scheme not in ("", "HTTP", "HTTPS"):
        problem = f'"{probe.http_get.scheme}" is neither HTTP nor HTTPS'
        yield Finding((*path, "httpGet", "scheme"), problem)
    for index, header in enumerate(probe.http_get.http_headers if probe.http_get else ()):
        if not _HEADER.fullmatch(header.name):
            at = (*path, "httpGet", "httpHeaders", index, "name")
            yield Finding(at, f'"{header.name}" is not a header name')
    named = (("httpGet", probe.http_get), ("tcpSocket", probe.tcp_socket), ("grpc", probe.grpc))
    for name, action in named:
        if action is not None:
            port = action.port if isinstance(action.port, int) else 0
            yield from check_port(port, (*path, name, "port"))
