"""Istio's own simulations of traffic: where each call through Envoy must end."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from clew.compile.config_dump import config_dump
from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy
from clew.config.parse import parse_mesh_config
from clew.model.proxy import Interception, Proxy, ProxyType
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from tests.corpora.conftest import Score
from tests.corpora.corpus import FOLDER, cases
from tests.manifests import resources_of

# Of the calls that do not depend on Istio's feature flags; raise it, never lower it.
REACHED = 0.98


def simulator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("xdssim", FOLDER / "xdssim.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def proxy(described: dict[str, Any]) -> Proxy:
    return Proxy(
        type=ProxyType(described["type"]),
        name=described["id"].partition(".")[0],
        namespace=described["namespace"],
        ip=described["ips"][0],
        extra_ips=tuple(described["ips"][1:]),
        dns_domain=described["dns_domain"],
        labels=tuple(sorted(described["labels"].items())),
        interception=Interception(described["metadata"].get("INTERCEPTION_MODE") or "REDIRECT"),
    )


def compiled(case: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    resources = [*resources_of(case["config"] or ""), *resources_of(case["kube_config"] or "")]
    mesh, _ = parse_mesh_config(json.dumps(case["mesh_config"]))
    scope = build_scope(build_snapshot(resources, mesh), proxy(case["proxy"]))
    return config_dump(compile_proxy(scope, Memo()))


def verdicts(case: dict[str, Any], simulation: ModuleType) -> Iterator[list[str]]:
    """What is wrong with each call of a case."""
    resources = compiled(case)
    proxies = simulation.Sim(resources["listeners"], resources["routes"])
    for each in case["calls"]:
        _, wrong = simulation.check(proxies.call(each["call"]), each["expect"])
        yield [f"{case['path']} {case['name']}: {each['name']}: {text}" for text in wrong]


def test_calls_end_where_istio_sends_them(score: Score) -> None:
    portable = [case for case in cases("routing-simulation") if case["portable"]]
    simulation = simulator()
    found = [problems for case in portable for problems in verdicts(case, simulation)]
    wrong = ["; ".join(problems) for problems in found if problems]
    score("routing-simulation", len(found), wrong, REACHED)
