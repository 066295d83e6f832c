"""Compiling: a whole mesh from cold, and one change in a big mesh."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from statistics import median

from benchmarks.fleet import Manifest, endpoint_slice, fleet, resources, virtual_service
from benchmarks.table import best, show, verdict
from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy
from clew.model.base import Resource
from clew.model.proxy import Proxy, ProxyType
from clew.server.garbage import collect_rarely
from clew.server.publisher import Publisher
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import MeshSnapshot, build_snapshot, update_snapshot

ENDPOINTS = 10
COLD_BUDGET, CHANGE_BUDGET = 500, 5


def main(services: int = 1000, mesh: int = 5000, namespaces: int = 50, rounds: int = 5) -> None:
    collect_rarely()
    _cold(services, namespaces)
    rows = []
    for scoped in (True, False):
        objects = resources(fleet(mesh, ENDPOINTS, namespaces=namespaces, scoped=scoped))
        rows += list(_changes(objects, namespaces, rounds, scoped=scoped))
    show(
        f"One change in a mesh of {mesh} services with {mesh * ENDPOINTS} endpoints: new bytes",
        ("what", "classes of proxies told", "of which snapshot", "CPU time", "budget", "met"),
        rows,
    )


def _cold(services: int, namespaces: int) -> None:
    """Everything for one sidecar that sees all, from objects to bytes."""
    objects = list(resources(fleet(services, ENDPOINTS, namespaces=namespaces, scoped=False)))
    took = min((_cold_steps(objects) for _ in range(3)), key=lambda steps: sum(steps.values()))
    rows: list[tuple[str, ...]] = [(step, f"{ms:.0f} ms", "", "") for step, ms in took.items()]
    whole = sum(took.values())
    rows.append(("whole", f"{whole:.0f} ms", f"< {COLD_BUDGET} ms", verdict(whole, COLD_BUDGET)))
    title = f"Cold compile of {services} services with {ENDPOINTS} endpoints each"
    show(title, ("step", "CPU time", "budget", "met"), rows)


def _cold_steps(objects: Sequence[Resource]) -> dict[str, float]:
    """Nothing is remembered from one call to the next."""
    start = time.process_time()
    snapshot = build_snapshot(objects)
    indexed = time.process_time()
    scope = build_scope(snapshot, _proxy("default"))
    scoped = time.process_time()
    compile_proxy(scope, Memo())
    steps = {
        "snapshot": indexed - start,
        "scope": scoped - indexed,
        "compile": time.process_time() - scoped,
    }
    return {step: seconds * 1000 for step, seconds in steps.items()}


def _changes(
    objects: Iterable[Resource], namespaces: int, rounds: int, *, scoped: bool
) -> Iterator[tuple[str, ...]]:
    """One class of proxies per namespace, or a single one if all see everything."""
    publisher = Publisher(objects)
    told: list[object] = []
    for number in range(namespaces if scoped else 1):
        publisher.connect(_proxy(f"ns-{number}"), lambda published, _: told.append(published))
    told.clear()
    for what, old, new in _both_ways():
        ways = list(resources([new, old])) * rounds
        snapshot = best(partial(_update, publisher.snapshot, ways[0]))
        took = median(best(partial(_change, publisher, way), 1) for way in ways)
        budget = (f"< {CHANGE_BUDGET} ms", verdict(took, CHANGE_BUDGET)) if scoped else ("", "")
        kind = "scoped" if scoped else "flat"
        classes = str(len(told) // len(ways))
        told.clear()
        yield f"{what}, {kind}", classes, f"{snapshot:.1f} ms", f"{took:.1f} ms", *budget


def _update(snapshot: MeshSnapshot, changed: Resource) -> None:
    update_snapshot(snapshot, [(changed.key, changed)])


def _change(publisher: Publisher, changed: Resource) -> None:
    publisher.change([(changed.key, changed)])


def _both_ways() -> Iterator[tuple[str, Manifest, Manifest]]:
    """Yield a change and the way back, for service 0 of the fleet."""
    route = [virtual_service("svc-0", "ns-0", 100, timeout=text) for text in ("3s", "4s")]
    yield "VirtualService", route[0], route[1]
    slices = [endpoint_slice("svc-0", "ns-0", 0, count) for count in (ENDPOINTS, ENDPOINTS - 1)]
    yield "endpoint", slices[0], slices[1]


def _proxy(namespace: str) -> Proxy:
    return Proxy(type=ProxyType.SIDECAR, name="client-0", namespace=namespace, ip="10.200.0.1")
