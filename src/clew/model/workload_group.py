"""WorkloadGroup: a template for WorkloadEntries that register themselves."""

from __future__ import annotations

from clew.model.base import Model, Resource
from clew.model.pod import Probe
from clew.model.workload_entry import WorkloadEntrySpec


class GroupMetadata(Model, frozen=True, kw_only=True):
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class WorkloadGroupSpec(Model, frozen=True, kw_only=True):
    metadata: GroupMetadata | None = None
    template: WorkloadEntrySpec
    probe: Probe | None = None


class WorkloadGroup(Resource, frozen=True, kw_only=True):
    spec: WorkloadGroupSpec
