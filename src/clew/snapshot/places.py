"""Where the workloads of one namespace are: pods, slices and entries, found without a search."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from clew.model.base import Resource
from clew.model.endpoint_slice import EndpointSlice
from clew.model.endpoints import Endpoints
from clew.model.pod import Pod
from clew.model.workload_entry import WorkloadEntry
from clew.snapshot.labels import selects
from clew.snapshot.objects import Change, replaced

K = TypeVar("K", bound=Hashable)
Names = frozenset[str]

_SERVICE_NAME = "kubernetes.io/service-name"
PLACES = (Pod, EndpointSlice, Endpoints, WorkloadEntry)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """``slices`` are by service and name. Pods are also known by address and by single label."""

    pods: Mapping[str, Pod] = field(default_factory=dict)
    pods_by_address: Mapping[str, Names] = field(default_factory=dict)
    pods_by_label: Mapping[tuple[str, str], Names] = field(default_factory=dict)
    slices: Mapping[str, Mapping[str, EndpointSlice]] = field(default_factory=dict)
    endpoints: Mapping[str, Endpoints] = field(default_factory=dict)
    workload_entries: Mapping[str, WorkloadEntry] = field(default_factory=dict)

    def pod_at(self, address: str) -> Pod | None:
        """Return the pod with this address; of several on the host's network, the first by name."""
        names = self.pods_by_address.get(address)
        return self.pods[min(names)] if names else None

    def selected_pods(self, selector: Mapping[str, str]) -> Iterator[Pod]:
        """Yield the pods that have all labels of a selector, which is not empty, by name."""
        fewest = min((self.pods_by_label.get(pair, Names()) for pair in selector.items()), key=len)
        for name in sorted(fewest):
            if selects(selector, self.pods[name].metadata.labels):
                yield self.pods[name]

    def slices_of(self, service: str) -> Iterator[EndpointSlice]:
        """Yield the slices of a service, those of IPv4 first."""
        found = self.slices.get(service, {}).values()
        yield from sorted(found, key=lambda each: (each.address_type, each.metadata.name))

    def selected_entries(self, selector: Mapping[str, str]) -> Iterator[WorkloadEntry]:
        for _, entry in sorted(self.workload_entries.items()):
            if selects(selector, entry_labels(entry)):
                yield entry


def entry_labels(entry: WorkloadEntry) -> dict[str, str]:
    return {**entry.metadata.labels, **entry.spec.labels}


def index_places(resources: Iterable[Resource]) -> dict[str, Places]:
    """Return the places of each namespace."""
    found: dict[str, dict[type[Resource], list[Resource]]] = {}
    for resource in resources:
        kinds = found.setdefault(resource.metadata.namespace, {})
        kinds.setdefault(type(resource), []).append(resource)
    return {namespace: _index(kinds) for namespace, kinds in found.items()}


def change_places(before: Mapping[str, Places], changes: Iterable[Change]) -> dict[str, Places]:
    """Return the places after changes of pods, slices, Endpoints and WorkloadEntries."""
    after = dict(before)
    for change in changes:
        namespace = change.sides[0].metadata.namespace
        after[namespace] = _changed(after.get(namespace, Places()), change)
    return after


def _index(kinds: Mapping[type[Resource], list[Resource]]) -> Places:
    pods = {r.metadata.name: r for r in kinds.get(Pod, ()) if isinstance(r, Pod)}
    addresses: dict[str, Names] = {}
    labels: dict[tuple[str, str], set[str]] = {}
    for name, pod in pods.items():
        alone = Names((name,))
        for address in pod_addresses(pod):
            others = addresses.get(address, alone)
            addresses[address] = others if others is alone else others | alone
        for pair in pod.metadata.labels.items():
            labels.setdefault(pair, set()).add(name)
    slices: dict[str, dict[str, EndpointSlice]] = {}
    for resource in kinds.get(EndpointSlice, ()):
        if isinstance(resource, EndpointSlice):
            slices.setdefault(slice_service(resource), {})[resource.metadata.name] = resource
    return Places(
        pods=pods,
        pods_by_address=addresses,
        pods_by_label={pair: frozenset(names) for pair, names in labels.items()},
        slices=slices,
        endpoints={
            r.metadata.name: r for r in kinds.get(Endpoints, ()) if isinstance(r, Endpoints)
        },
        workload_entries={
            r.metadata.name: r for r in kinds.get(WorkloadEntry, ()) if isinstance(r, WorkloadEntry)
        },
    )


def _changed(before: Places, change: Change) -> Places:
    name = change.sides[0].metadata.name
    match change.sides[0]:
        case Pod():
            return _with_pod(before, name, change)
        case EndpointSlice():
            return _with_slice(before, name, change)
        case Endpoints():
            new = change.new if isinstance(change.new, Endpoints) else None
            return replace(before, endpoints=replaced(before.endpoints, name, new))
        case _:
            entry = change.new if isinstance(change.new, WorkloadEntry) else None
            entries = replaced(before.workload_entries, name, entry)
            return replace(before, workload_entries=entries)


def _with_pod(before: Places, name: str, change: Change) -> Places:
    old = change.old if isinstance(change.old, Pod) else None
    new = change.new if isinstance(change.new, Pod) else None
    labels = [frozenset(pod.metadata.labels.items()) if pod else frozenset() for pod in (old, new)]
    addresses = [pod_addresses(pod) if pod else () for pod in (old, new)]
    return replace(
        before,
        pods=replaced(before.pods, name, new),
        pods_by_address=_moved(before.pods_by_address, name, *addresses),
        pods_by_label=_moved(before.pods_by_label, name, *labels),
    )


def _moved(
    index: Mapping[K, Names], name: str, old: Iterable[K], new: Iterable[K]
) -> Mapping[K, Names]:
    """Return the index after ``name`` has moved from its old keys to new ones."""
    gone, come = set(old) - set(new), set(new) - set(old)
    if not gone and not come:
        return index
    after = dict(index)
    for key in gone:
        if rest := after[key] - {name}:
            after[key] = rest
        else:
            del after[key]
    for key in come:
        after[key] = after.get(key, Names()) | {name}
    return after


def _with_slice(before: Places, name: str, change: Change) -> Places:
    slices = before.slices
    for resource in (change.old, change.new):
        if isinstance(resource, EndpointSlice):
            service = slice_service(resource)
            kept = replaced(
                slices.get(service, {}), name, resource if resource is change.new else None
            )
            slices = replaced(slices, service, kept or None)
    return replace(before, slices=slices)


def pod_addresses(pod: Pod) -> tuple[str, ...]:
    """Return a pod's addresses, the main one first; of the other version of IP there may be one."""
    if pod.status is None:
        return ()
    if not pod.status.pod_ips:
        return (pod.status.pod_ip,) if pod.status.pod_ip else ()
    every = (pod.status.pod_ip, *(each.ip for each in pod.status.pod_ips))
    return tuple(address for address in dict.fromkeys(every) if address)


def slice_service(resource: EndpointSlice) -> str:
    return resource.metadata.labels.get(_SERVICE_NAME, "")
