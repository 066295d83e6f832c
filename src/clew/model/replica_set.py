"""ReplicaSet: so many replicas of a pod, without a history."""

from __future__ import annotations

from clew.model.base import OpenModel, Resource
from clew.model.deployment import LabelSelector
from clew.model.pod import PodTemplateSpec


class ReplicaSetSpec(OpenModel, frozen=True, kw_only=True):
    replicas: int | None = None
    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()


class ReplicaSet(Resource, frozen=True, kw_only=True):
    spec: ReplicaSetSpec = ReplicaSetSpec()
