"""Deployment: so many replicas of a pod."""

from __future__ import annotations

from typing import Any

from clew.model.base import OpenModel, Resource
from clew.model.pod import PodTemplateSpec


class LabelSelector(OpenModel, frozen=True, kw_only=True):
    match_labels: dict[str, str] = {}
    match_expressions: tuple[dict[str, Any], ...] = ()


class DeploymentSpec(OpenModel, frozen=True, kw_only=True):
    replicas: int | None = None
    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()


class Deployment(Resource, frozen=True, kw_only=True):
    spec: DeploymentSpec = DeploymentSpec()
