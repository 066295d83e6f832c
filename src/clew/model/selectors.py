"""Which workloads, and which objects, a resource applies to."""

from __future__ import annotations

from clew.model.base import Model


class WorkloadSelector(Model, frozen=True, kw_only=True):
    """Networking kinds select workloads by ``labels``."""

    labels: dict[str, str] = {}


class PolicySelector(Model, frozen=True, kw_only=True):
    """Policies select workloads by ``matchLabels`` (Istio's ``type.WorkloadSelector``)."""

    match_labels: dict[str, str] = {}


class PolicyTargetReference(Model, frozen=True, kw_only=True):
    """The object that a policy is attached to."""

    group: str = ""
    kind: str
    name: str
    namespace: str = ""


class LabelSelectorRequirement(Model, frozen=True, kw_only=True):
    key: str = ""
    operator: str = ""
    values: tuple[str, ...] = ()


class LabelSelector(Model, frozen=True, kw_only=True):
    """Kubernetes' selector: all of the labels and all of the expressions must fit."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()
