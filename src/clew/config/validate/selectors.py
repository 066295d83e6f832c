"""Rules for how a resource says which workloads or objects it is for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Protocol

from clew.config.finding import FieldPath, Finding
from clew.config.validate.hosts import is_host_label
from clew.model.selectors import PolicySelector, PolicyTargetReference, WorkloadSelector

_TARGETS = {
    ("gateway.networking.k8s.io", "Gateway"),
    ("gateway.networking.k8s.io", "GatewayClass"),
    ("", "Service"),
    ("core", "Service"),
    ("networking.istio.io", "ServiceEntry"),
}
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")


class Targeted(Protocol):
    """A policy's spec: it selects workloads, or names objects."""

    @property
    def selector(self) -> PolicySelector | None: ...
    @property
    def target_ref(self) -> PolicyTargetReference | None: ...
    @property
    def target_refs(self) -> tuple[PolicyTargetReference, ...]: ...


def check_labels(labels: Mapping[str, str], path: FieldPath) -> Iterator[Finding]:
    """Labels to select by: no empty key, no wildcard. A value that no label can have is allowed.

    Source: istio ``validateWorkloadSelector``, and the CRDs.
    """
    for key, value in labels.items():
        if not key:
            yield Finding(path, "a label key is empty")
        elif "*" in key or "*" in value:
            yield Finding((*path, key), "a selector has no wildcards")


def check_instance_labels(labels: Mapping[str, str], path: FieldPath) -> Iterator[Finding]:
    """Labels of workloads, as Kubernetes allows them: ``[<domain>/]<name>`` and a value.

    Source: istio ``labels.Instance.Validate``.
    """
    for key, value in labels.items():
        prefix, slash, name = key.rpartition("/")
        if slash and (len(prefix) > 253 or not all(map(is_host_label, prefix.split(".")))):
            yield Finding((*path, key), f'"{prefix}" is not a domain')
        if len(name) > 63 or not _LABEL_NAME.fullmatch(name):
            yield Finding((*path, key), f'"{key}" is not a label')
        if not _LABEL_VALUE.fullmatch(value):
            yield Finding((*path, key), f'"{value}" is not a label value')


def check_workload_selector(
    selector: WorkloadSelector | None, path: FieldPath = ("spec", "workloadSelector")
) -> Iterator[Finding]:
    if selector is not None:
        yield from check_labels(selector.labels, (*path, "labels"))
        yield from _warn_empty(selector.labels, path)


def check_selector(
    selector: PolicySelector | None, path: FieldPath = ("spec", "selector")
) -> Iterator[Finding]:
    if selector is not None:
        yield from check_labels(selector.match_labels, (*path, "matchLabels"))
        yield from _warn_empty(selector.match_labels, path)


def _warn_empty(labels: Mapping[str, str], path: FieldPath) -> Iterator[Finding]:
    if not labels:
        problem = "without labels it selects every workload of the namespace"
        yield Finding(path, problem, "if that is meant, leave it out", warning=True)


def check_targets(spec: Targeted) -> Iterator[Finding]:
    """At most one of ``selector``, ``targetRef`` and ``targetRefs``, to kinds Istio attaches to.

    Source: istio ``validatePolicyTargetReferences``.
    """
    ways = (spec.selector is not None, spec.target_ref is not None, bool(spec.target_refs))
    if sum(ways) > 1:
        yield Finding(("spec",), "set only one of selector, targetRef and targetRefs")
    yield from check_selector(spec.selector)
    if spec.target_ref is not None:
        yield from check_target(spec.target_ref, ("spec", "targetRef"))
    yield from check_target_list(spec.target_refs)


def check_target_list(targets: tuple[PolicyTargetReference, ...]) -> Iterator[Finding]:
    for index, target in enumerate(targets):
        yield from check_target(target, ("spec", "targetRefs", index))


def check_target(target: PolicyTargetReference, path: FieldPath) -> Iterator[Finding]:
    if not target.name:
        yield Finding((*path, "name"), "the name is empty")
    if target.namespace:
        yield Finding((*path, "namespace"), "another namespace cannot be referred to")
    if (target.group, target.kind) not in _TARGETS:
        kinds = ", ".join(sorted({kind for _, kind in _TARGETS}))
        problem = f"a policy cannot be attached to {target.group or 'core'}/{target.kind}"
        yield Finding(path, problem, f"one of {kinds}")
