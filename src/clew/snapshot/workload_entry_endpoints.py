"""Where WorkloadEntries, and the endpoints that ServiceEntries declare, serve a service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from clew.model.service import Endpoint, Health, Locality, Service, Workload
from clew.model.workload_entry import HEALTHY, WorkloadEntry, WorkloadEntrySpec
from clew.snapshot.labels import NETWORK, TLS_MODE, WORKLOAD_NAME, sorted_labels
from clew.snapshot.places import Places, entry_labels
from clew.snapshot.pod_endpoints import endpoint_at


def selected_entries(service: Service, places: Places) -> Iterator[Endpoint]:
    """Yield the endpoints that the service's selector finds among WorkloadEntries."""
    for entry in places.selected_entries(dict(service.selector or ())):
        health = Health.HEALTHY if _entry_is_healthy(entry) else Health.UNHEALTHY
        labels = entry_labels(entry)
        yield from of_entry(entry.spec, labels, service, entry.metadata.name, health)


def of_entry(
    spec: WorkloadEntrySpec,
    labels: Mapping[str, str],
    service: Service,
    name: str,
    health: Health,
) -> Iterator[Endpoint]:
    """Yield an endpoint for each port of the service; ``name``: of the workload, without a label.

    ``labels``: those of ``spec``, and what is said of them elsewhere.
    """
    workload = Workload(
        name=labels.get(WORKLOAD_NAME, name),
        namespace=service.namespace,
        labels=sorted_labels(labels),
        service_account=spec.service_account,
        locality=Locality.parse(spec.locality) if spec.locality else Locality(),
        network=spec.network or labels.get(NETWORK, ""),
        has_proxy=_takes_mtls(spec, labels) and not service.mesh_external,
    )
    for port in service.ports:
        target = port.target_port if isinstance(port.target_port, int) else 0
        number = spec.ports.get(port.name) or target or port.number
        found = endpoint_at((spec.address,), number, port.name, health, workload)
        yield msgspec.structs.replace(found, weight=spec.weight or 1)


def _entry_is_healthy(entry: WorkloadEntry) -> bool:
    """An entry without health checks always is; one with them only once it is reported so.

    Source: istio ``isHealthy`` in the ServiceEntry controller.
    """
    status = entry.status if isinstance(entry.status, dict) else {}
    conditions: Sequence[Mapping[str, str]] = status.get("conditions", ())
    reported = (c.get("status") == "True" for c in conditions if c.get("type") == HEALTHY)
    return not entry.health_checked or any(reported)


def _takes_mtls(spec: WorkloadEntrySpec, labels: Mapping[str, str]) -> bool:
    """The label says it; without one, a workload that has an identity has a proxy.

    Source: istio ``getTLSModeFromWorkloadEntry``.
    """
    mode = labels.get(TLS_MODE)
    return mode == "istio" if mode is not None else bool(spec.service_account)
