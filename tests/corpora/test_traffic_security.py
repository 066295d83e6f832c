"""Istio's security tests as real traffic: what policies forbid does not come through."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from clew.model.base import ResourceKey
from tests.corpora.conftest import Score
from tests.corpora.corpus import FOLDER, cases, support
from tests.corpora.echo.manifests import App, Port
from tests.corpora.echo.traffic import Verdict, filled_in, make_calls
from tests.corpora.echo.world import ROOT, World, running_world
from tests.e2e.mesh import needs_root

# Of the calls that mean the same everywhere; raise it, never lower it.
REACHED = 0.995

APPS = (
    *(App(name=name, namespace="echo1") for name in ("a", "b", "c")),
    *(App(name=name, namespace="echo2") for name in ("a", "b")),
    App(name="naked", namespace="echo1", proxy=False),
    App(name="headless", namespace="echo1", headless=True),
    App(name="migration", namespace="echo1", version="vistio"),
    App(name="migration", namespace="echo1", version="vlegacy", proxy=False),
)
# Source: the order of Istio's enum, which is all that the source of some cases has.
MODES = {"1": "DISABLE", "2": "PERMISSIVE", "3": "STRICT"}
KEYS_PORT = 8000

Case = Mapping[str, Any]


def key_server() -> str:
    """The server of the issuer's keys, in the mesh."""
    labels = {"app": "jwt-server"}
    command = [sys.executable, "-m", "tests.corpora.echo.keys"]
    container = {
        "name": "app",
        "command": [*command, str(FOLDER / "support" / "jwks.json"), str(KEYS_PORT)],
        "env": [{"name": "PYTHONPATH", "value": str(ROOT)}],
        "ports": [{"name": "http", "containerPort": KEYS_PORT}],
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "jwt-server", "namespace": "echo1"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "jwt-server", "namespace": "echo1"},
        "spec": {"selector": labels, "ports": [{"name": "http", "port": KEYS_PORT}]},
    }
    return "\n---\n".join(json.dumps(each) for each in (deployment, service))


def prepared(world: World, text: str) -> str:
    """Return configuration with what the case leaves open filled in."""
    modes = re.sub(r"\.String\((\d)\)", lambda found: MODES[found[1]], text)
    return filled_in(world, modes.replace("{jwt_ns}", "echo1"))


def mesh_config(patches: Sequence[str]) -> str:
    body = json.dumps({"mesh": "\n".join(patches)})
    return (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: istio-system}}\n"
        f"data: {body}\n"
    )


@contextmanager
def labelled(world: World, app: str, labels: Mapping[str, str]) -> Iterator[None]:
    """Give the pod of an app more labels."""
    namespace = app.partition("/")[0]
    key = ResourceKey("", "Pod", namespace, world.pods[app])
    own = world.client.get(key)["metadata"]["labels"]
    _label(world, key, {**own, **labels})
    try:
        yield
    finally:
        _label(world, key, own)


def _label(world: World, key: ResourceKey, labels: Mapping[str, str]) -> None:
    pod = world.client.get(key)
    pod["metadata"]["labels"] = dict(labels)
    [applied] = world.client.apply(json.dumps(pod)).items
    assert applied.revision, applied
    world.settle()


def run(world: World, ports: Sequence[Port], case: Case) -> Iterator[Verdict]:
    described = {**case, "calls": [call for call in case["calls"] if call["portable"]]}
    with ExitStack() as stack:
        refused: list[str] = []
        texts = [(each["yaml"], each["apply_namespace"]) for each in case["configs"]]
        if case["mesh_config_patch"]:
            texts.append((mesh_config(case["mesh_config_patch"]), "istio-system"))
        for text, namespace in texts:
            configured = world.configured(prepared(world, text), namespace)
            refused += stack.enter_context(configured)
        if case["workload_label_patch"]:
            for app in {call["to"] for call in case["calls"]}:
                stack.enter_context(labelled(world, app, case["workload_label_patch"]))
        yield from make_calls(world, ports, [described], refused)


def came_through(verdict: Verdict) -> bool:
    """Whether a call was answered that must be denied."""
    return (
        re.search(r"expected (forbidden=True|ok=False|error=True|4\d\d)", verdict.problem)
        is not None
    )


@needs_root
@pytest.mark.timeout(900)
def test_policies_hold_as_in_istio(score: Score) -> None:
    given = cases("traffic-security")
    ports = support("echo-world")["ports"]
    with running_world(APPS, ports, manifests=[key_server()]) as world:
        verdicts = [verdict for case in given for verdict in run(world, ports, case)]
    assert world.refusals == [], "Envoy refused configuration"
    wrong = [f"{v.case} | {v.call}: {v.problem}" for v in verdicts if v.problem]
    print(f"asked again: {sum(v.asked_again and not v.problem for v in verdicts)}")
    score("traffic-security", len(verdicts), wrong, REACHED)
    assert [v for v in verdicts if came_through(v)] == []
