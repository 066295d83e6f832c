"""What the control plane measures of itself, under Istio's names where they mean the same.

Source: istiod's metrics (``pilot/pkg/xds/monitoring.go`` and others).
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from clew.model.virtual_service import VirtualService
from clew.model.xds import CLUSTER, ENDPOINTS, LISTENER, NAME_TABLE, ROUTE, SECRET, TypeUrl
from clew.server.exposition import Counter, Histogram, gauge, page
from clew.snapshot.objects import objects_of
from clew.snapshot.snapshot import MeshSnapshot
from clew.stores.store import Change
from clew.xds.answers import Acked, Nacked

_TYPES = {
    CLUSTER: "cds",
    ENDPOINTS: "eds",
    LISTENER: "lds",
    ROUTE: "rds",
    SECRET: "sds",
    NAME_TABLE: "nds",
}
# Istio's buckets, in seconds, and two for what is faster here.
_SECONDS = (0.001, 0.005, 0.01, 0.1, 0.5, 1, 3, 5, 10, 20, 30)
_OF_ENDPOINTS = frozenset({"Endpoints", "EndpointSlice", "Pod", "WorkloadEntry"})
_OF_SERVICES = frozenset({"Service", "ServiceEntry"})


class Meters:
    """Counts what happens between the store, the control plane and proxies.

    ``now``: seconds on a clock that only goes forward.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self._pushes = Counter("pilot_xds_pushes", "Responses that proxies have answered.")
        self._rejects = Counter("pilot_total_xds_rejects", "Responses that proxies refused.")
        self._updates = Counter("pilot_inbound_updates", "Changes that came from the store.")
        self._events = Counter("pilot_k8s_cfg_events", "Changes of objects.")
        self._triggers = Counter("pilot_push_triggers", "Batches of changes, by what is in them.")
        self._convergence = Histogram(
            "pilot_proxy_convergence_time",
            "Seconds from a change until a proxy has acknowledged all of it.",
            _SECONDS,
        )
        self._publishing = Histogram(
            "pilot_xds_push_time",
            "Seconds from a batch of changes until all that it makes different is compiled.",
            _SECONDS,
        )

    def answered(self, verdict: Acked | Nacked) -> None:
        """A proxy took or refused a response."""
        kind = _TYPES.get(verdict.type_url, "other")
        self._pushes.add(type=kind)
        if isinstance(verdict, Nacked):
            self._rejects.add(type=kind)

    def converged(self, began: float) -> None:
        """A proxy has acknowledged everything that was published since ``began``."""
        self._convergence.observe(self.now() - began)

    def published(self, changes: Iterable[Change], began: float) -> None:
        """A batch of changes has been published; ``began`` is when it came."""
        self._publishing.observe(self.now() - began)
        kinds = set()
        for change in changes:
            kind = change.key.kind
            event = "delete" if change.stored is None else "update"
            self._events.add(type=kind, event=event)
            kinds.add(_update_of(kind))
            self._updates.add(type=_update_of(kind))
        for kind in kinds:
            self._triggers.add(type=_TRIGGERS[kind])

    def lines(self) -> Iterator[str]:
        for each in (
            *(self._pushes, self._rejects, self._updates, self._events, self._triggers),
            *(self._convergence, self._publishing),
        ):
            yield from each.lines()


# Source: Istio's words for the same, in two of its metrics.
_TRIGGERS = {"eds": "endpoint", "svc": "service", "config": "config"}


def _update_of(kind: str) -> str:
    if kind in _OF_ENDPOINTS:
        return "eds"
    return "svc" if kind in _OF_SERVICES else "config"


def metrics_page(
    meters: Meters,
    snapshot: MeshSnapshot,
    *,
    versions: Iterable[str],
    refused: Iterable[TypeUrl],
    authority: dict[str, float],
    version: str,
    uptime_seconds: float,
) -> str:
    """The page that Prometheus reads.

    ``versions``: of the proxies that are connected; ``refused``: the type of each resource that
    a proxy refuses now; ``authority``: metrics by name.
    """
    return page(
        [
            gauge("pilot_info", "The control plane's version.", [((("version", version),), 1)]),
            gauge(
                "istio_build",
                "The version of a component.",
                [((("component", "pilot"), ("tag", version)), 1)],
            ),
            gauge("istiod_uptime_seconds", "Since it was started.", [((), uptime_seconds)]),
            gauge("pilot_services", "Services.", [((), len(snapshot.services.ordered))]),
            gauge(
                "pilot_virt_services",
                "VirtualServices.",
                [((), sum(1 for _ in objects_of(VirtualService, snapshot.objects)))],
            ),
            _connected(versions),
            *_refusals(refused),
            *_of_authority(authority),
            meters.lines(),
            _process(),
        ]
    )


def _connected(versions: Iterable[str]) -> Iterator[str]:
    counts: dict[str, int] = {}
    for version in versions:
        counts[version] = counts.get(version, 0) + 1
    values = (((("version", version),), count) for version, count in sorted(counts.items()))
    return gauge("pilot_xds", "Proxies that are connected.", values)


def _refusals(refused: Iterable[TypeUrl]) -> Iterator[Iterator[str]]:
    counts = dict.fromkeys(("cds", "eds", "lds", "rds"), 0)
    for type_url in refused:
        if (kind := _TYPES.get(type_url, "")) in counts:
            counts[kind] += 1
    for kind, count in counts.items():
        yield gauge(f"pilot_xds_{kind}_reject", "Resources that proxies refuse.", [((), count)])


def _of_authority(values: dict[str, float]) -> Iterator[Iterator[str]]:
    words = "Of the mesh's certificate authority."
    for name, value in values.items():
        if name.endswith("_count"):
            yield Counter(name, words, {(): value}).lines()
        else:
            yield gauge(name, words, [((), value)])


def _process() -> Iterator[str]:
    """Source: the names that Prometheus' own libraries have for it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    words = "Seconds of CPU time, user and system."
    yield from Counter(
        "process_cpu_seconds_total", words, {(): used.ru_utime + used.ru_stime}
    ).lines()
    # Source: proc(5): the sizes of the whole and of what is in memory, in pages.
    sizes = Path("/proc/self/statm").read_text().split()
    for name, pages in zip(("virtual", "resident"), sizes, strict=False):
        bytes_ = int(pages) * resource.getpagesize()
        yield from gauge(f"process_{name}_memory_bytes", "Memory in use.", [((), bytes_)])
