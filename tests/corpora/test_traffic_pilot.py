"""Istio's traffic tests as real traffic: through real Envoys, each in a network of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from tests.corpora.conftest import Score
from tests.corpora.corpus import cases, support
from tests.corpora.echo.manifests import App
from tests.corpora.echo.traffic import Verdict, run_cases
from tests.corpora.echo.world import running_world
from tests.e2e.mesh import needs_root

# Of the calls that mean the same everywhere; raise it, never lower it.
REACHED = 0.97

STANDARD = [App(name=name, namespace="echo", standard=True) for name in "abcd"]
OTHERS = [
    App(name="headless", namespace="echo", headless=True),
    App(name="tproxy", namespace="echo"),
    App(name="vm", namespace="echo"),
    App(name="naked", namespace="echo", proxy=False),
    App(name="external", namespace="external", proxy=False),
]


def table(verdicts: Iterable[Verdict]) -> str:
    """One line per group of cases: calls that went as they should, of all."""
    good, all_of_them = Counter[str](), Counter[str]()
    for verdict in verdicts:
        group = verdict.case.split()[1]
        all_of_them[group] += 1
        good[group] += not verdict.problem
    return "\n".join(f"{group:30}{good[group]:4} of {n}" for group, n in all_of_them.items())


@needs_root
@pytest.mark.timeout(600)
def test_calls_go_as_in_istio(score: Score) -> None:
    portable = [case for case in cases("traffic-pilot") if case["portable"]]
    ports = support("echo-world")["ports"]
    with running_world([*STANDARD, *OTHERS], ports) as world:
        verdicts = list(run_cases(world, ports, portable, "echo"))
    print(table(verdicts))
    print(f"asked again: {sum(v.asked_again and not v.problem for v in verdicts)}")
    assert world.refusals == [], "Envoy refused configuration"
    wrong = [f"{v.case} | {v.call}: {v.problem}" for v in verdicts if v.problem]
    score("traffic-pilot", len(verdicts), wrong, REACHED)
