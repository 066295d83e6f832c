"""StatefulSet: replicas with names that last."""

from __future__ import annotations

from clew.model.base import OpenModel, Resource
from clew.model.deployment import LabelSelector
from clew.model.pod import PodTemplateSpec


class StatefulSetSpec(OpenModel, frozen=True, kw_only=True):
    replicas: int | None = None
    service_name: str = ""
    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()


class StatefulSet(Resource, frozen=True, kw_only=True):
    spec: StatefulSetSpec = StatefulSetSpec()
