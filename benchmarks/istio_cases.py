"""The inputs of Istio's own control-plane benchmark: time and bytes of a push for each."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from benchmarks.table import best, show
from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy
from clew.config.parse import parse_manifest
from clew.model.base import Resource
from clew.model.proxy import Proxy, ProxyType
from clew.model.xds import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    ROUTE,
    SECRET,
    Published,
    ResourcesByName,
)
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import MeshSnapshot, build_snapshot, update_snapshot

INPUTS = Path(__file__).parents[2] / "shared" / "corpora" / "bench"
TYPES = {"CDS": CLUSTER, "EDS": ENDPOINTS, "LDS": LISTENER, "RDS": ROUTE, "SDS": SECRET}


def main(folder: Path = INPUTS, rounds: int = 3) -> None:
    if not (folder / "bench.json").is_file():
        print(f"skipped: Istio's benchmark inputs are not in {folder}")
        return
    inputs = json.loads((folder / "bench.json").read_text())
    show(
        "Istio's control-plane benchmark: everything for one proxy, nothing remembered",
        (
            *("case", "objects", "snapshot", "compile"),
            *(f"{name} bytes" for name in TYPES),
            *("one object less", "bytes sent"),
        ),
        list(_rows(inputs, folder / "rendered", rounds)),
    )


def _rows(inputs: Mapping[str, Any], folder: Path, rounds: int) -> Iterator[tuple[str, ...]]:
    """One for each case that is there as a file and whose proxies clew has."""
    for case in inputs["cases"]:
        path = folder / case.get("rendered", "")
        if case["proxy_type"] == "waypoint" or case["table"] == "wdsCases" or not path.is_file():
            continue
        resources = _resources(path.read_text())
        proxy = _proxy(inputs["proxy"], case["proxy_type"])
        yield (case["name"], str(len(resources)), *_measured(resources, proxy, rounds))


def _resources(text: str) -> list[Resource]:
    """The objects of a file. Of keys that are there twice the last counts, as Istio reads them."""
    manifests = yaml.load_all(text, Loader=yaml.CSafeLoader)
    return [r for each in manifests if each and (r := parse_manifest(each).resource)]


def _measured(resources: list[Resource], proxy: Proxy, rounds: int) -> Iterator[str]:
    snapshot = build_snapshot(resources)
    yield f"{best(partial(build_snapshot, resources), rounds):.1f} ms"
    yield f"{best(partial(_push, snapshot, proxy), rounds):.1f} ms"
    published = _push(snapshot, proxy)
    for name in TYPES.values():
        yield f"{sum(len(each.body) for each in published.get(name, {}).values()):,}"
    took, sent = _one_less(snapshot, resources[-1], proxy)
    yield f"{took:.1f} ms"
    yield f"{sent:,}"


def _one_less(snapshot: MeshSnapshot, last: Resource, proxy: Proxy) -> tuple[float, int]:
    """CPU time, in milliseconds, and bytes of a push when the last object goes."""
    memo = Memo()
    before = build_scope(snapshot, proxy)
    had = compile_proxy(before, memo)
    start = time.process_time()
    changed, _ = update_snapshot(snapshot, [(last.key, None)])
    has = compile_proxy(build_scope(changed, proxy, before), memo)
    took = (time.process_time() - start) * 1000
    return took, sum(_sent(had.get(name, {}), has.get(name, {})) for name in TYPES.values())


def _sent(had: ResourcesByName, has: ResourcesByName) -> int:
    return sum(
        len(each.body)
        for name, each in has.items()
        if name not in had or had[name].version != each.version
    )


def _push(snapshot: MeshSnapshot, proxy: Proxy) -> Published:
    return compile_proxy(build_scope(snapshot, proxy), Memo())


def _proxy(described: Mapping[str, Any], kind: str) -> Proxy:
    return Proxy(
        type=ProxyType(kind),
        name=described["id"].partition(".")[0],
        namespace=described["namespace"],
        ip=described["ip"],
        dns_domain=described["dns_domain"],
        labels=tuple(sorted(described["labels"].items())),
    )
