"""The requests of the Gateway API's conformance tests, through real Envoys. Ratchets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.corpora.conftest import Score
from tests.corpora.corpus import cases
from tests.corpora.echo.conformance_runs import Verdict, run_gateway_case, run_mesh_case
from tests.corpora.echo.conformance_world import ConformanceWorld, conformance_world
from tests.e2e.mesh import needs_root

# Of what is evaluated; raise them, never lower them. As in Istio, which skips those, sidecars
# route HTTP by the host that a request names and not by the address that it goes to.
GATEWAYS, MESH = 1.0, 0.93

pytestmark = [needs_root, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def world() -> Iterator[ConformanceWorld]:
    cases("gatewayapi-conformance")  # skips without the corpora
    with conformance_world() as running:
        yield running


def scored(score: Score, corpus: str, verdicts: list[Verdict], reached: float) -> None:
    unknown = Counter(v.not_evaluated for v in verdicts if v.not_evaluated)
    for what, number in unknown.items():
        print(f"{corpus}: not evaluated, {number} times: {what}")
    evaluated = [v for v in verdicts if not v.not_evaluated]
    wrong = [f"{v.case}: {v.problem} ({v.subtest})" for v in evaluated if v.problem]
    score(corpus, len(evaluated), wrong, reached)


def asks(case: Mapping[str, Any]) -> bool:
    return bool(case["requests"] or case["other_assertions"])


def test_gateways_answer_as_conformance_asks(world: ConformanceWorld, score: Score) -> None:
    listed = [case for case in cases("gatewayapi-conformance") if asks(case)]
    verdicts = [verdict for case in listed for verdict in run_gateway_case(world, case)]
    assert world.mesh.refusals == [], "Envoy refused configuration"
    scored(score, "gatewayapi-conformance requests", verdicts, GATEWAYS)


def test_sidecars_answer_as_conformance_asks(world: ConformanceWorld, score: Score) -> None:
    listed = [case for case in cases("gatewayapi-mesh-conformance") if asks(case)]
    verdicts = [verdict for case in listed for verdict in run_mesh_case(world, case)]
    assert world.mesh.refusals == [], "Envoy refused configuration"
    scored(score, "gatewayapi-mesh-conformance", verdicts, MESH)
