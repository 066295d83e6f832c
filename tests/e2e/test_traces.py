"""One request through Bookinfo is one trace, with a span for each hop of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.mesh import Mesh, eventually, needs_root, running_mesh

pytestmark = needs_root


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with running_mesh("traces", capture="netns") as running:
        yield running


def found(mesh: Mesh, *options: str) -> list[dict[str, Any]]:
    listed = mesh.clew("trace", "list", "-o", "json", *options)
    assert listed.returncode == 0, listed.stderr
    items: list[dict[str, Any]] = json.loads(listed.stdout)["items"]
    return items


def shown(mesh: Mesh, trace: str) -> list[dict[str, Any]]:
    spans: list[dict[str, Any]] = json.loads(
        mesh.clew("trace", "show", trace, "-o", "json").stdout
    )["spans"]
    return spans


def hops(spans: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Who called and who was called: each client's span is what a server's span is below."""
    by_id = {span["id"]: span for span in spans}
    return [
        (by_id[span["parent"]]["service"], span["service"])
        for span in spans
        if span["parent"] in by_id and by_id[span["parent"]]["service"] != span["service"]
    ]


def test_one_trace_of_productpage_has_all_hops(mesh: Mesh) -> None:
    wanted = {
        ("istio-ingressgateway.istio-system", "productpage.default"),
        ("productpage.default", "details.default"),
        ("productpage.default", "reviews.default"),
        ("reviews.default", "ratings.default"),
    }

    def is_complete() -> bool:
        # reviews-v1, one of three, asks no ratings.
        assert mesh.get("/productpage")[0] == 200
        traces = found(
            mesh, "--operation", "productpage.default.svc.cluster.local:9080/productpage"
        )
        traces = traces or found(mesh, "--service", "ratings.default")
        return any(wanted <= set(hops(shown(mesh, trace["id"]))) for trace in traces)

    eventually(is_complete, what="a trace with all hops")
