"""WorkloadEntry: one workload outside of Kubernetes."""

from __future__ import annotations

from clew.model.base import Model, Resource


class WorkloadEntrySpec(Model, frozen=True, kw_only=True):
    address: str = ""
    ports: dict[str, int] = {}
    labels: dict[str, str] = {}
    network: str = ""
    locality: str = ""
    weight: int | None = None
    service_account: str = ""


class WorkloadEntry(Resource, frozen=True, kw_only=True):
    spec: WorkloadEntrySpec = WorkloadEntrySpec()
