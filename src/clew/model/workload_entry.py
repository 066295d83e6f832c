"""WorkloadEntry: one workload outside of Kubernetes."""

from __future__ import annotations

from clew.model.base import Model, Resource

# Annotations by which Istio says who registered an entry, and whose proxy stands behind it.
AUTO_REGISTRATION_GROUP = "istio.io/autoRegistrationGroup"
WORKLOAD_CONTROLLER = "istio.io/workloadController"
CONNECTED_AT = "istio.io/connectedAt"
DISCONNECTED_AT = "istio.io/disconnectedAt"
# Whether a proxy reports the workload's health.
HEALTH_CHECKS_ENABLED = "proxy.istio.io/health-checks-enabled"
# The status condition that holds the latest report.
HEALTHY = "Healthy"


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

    @property
    def health_checked(self) -> bool:
        """Whether it counts only while its proxy reports it healthy.

        Source: istio ``parseHealthAnnotation``, which takes what Go's ParseBool takes.
        """
        text = self.metadata.annotations.get(HEALTH_CHECKS_ENABLED, "")
        return text in ("1", "t", "T", "true", "TRUE", "True")
