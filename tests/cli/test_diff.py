from __future__ import annotations

import json

import pytest

from tests.cli.mesh import HALF, REVIEWS, Shell

REORDERED = """\
kind: VirtualService
apiVersion: networking.istio.io/v1
spec:
  http:
  - route:
    - {weight: 90, destination: {subset: v1, host: reviews}}
    - {weight: 10, destination: {subset: v3, host: reviews}}
  hosts: [reviews]
metadata: {name: reviews}
"""


@pytest.mark.parametrize("text", [REVIEWS, REORDERED])
def test_what_is_there_already_is_no_difference(mesh: Shell, text: str) -> None:
    mesh.good("apply", "-f", "-", input=REVIEWS)
    assert mesh.good("diff", "-f", "-", input=text) == ""


def test_differences_are_lines_and_nothing_is_changed(mesh: Shell) -> None:
    mesh.good("apply", "-f", "-", input=REVIEWS)
    found = mesh.clew("diff", "-f", "-", input=HALF)
    assert found.exit_code == 1
    signed = [line for line in found.stdout.splitlines() if line[0] in "+-"]
    name = "virtualservice.networking.istio.io/reviews"
    assert signed[:2] == [f"--- live/{name}", f"+++ applied/{name}"]
    assert [line.split() for line in signed[2:]] == [
        ["-", "weight:", "90"],
        ["+", "weight:", "50"],
        ["-", "weight:", "10"],
        ["+", "weight:", "50"],
    ]
    assert len(json.loads(mesh.good("history", "vs", "reviews", "-o", "json"))["items"]) == 1


def test_a_new_object_and_one_that_is_refused(mesh: Shell) -> None:
    bad = REVIEWS.replace("name: reviews", "name: bad").replace("weight: 90", "weight: much")
    found = mesh.clew("diff", "-f", "-", input=f"{REVIEWS}---\n{bad}")
    assert found.exit_code == 1
    assert found.stdout.startswith("--- /dev/null\n")
    assert "weight: much" not in found.stdout
    assert "refused" in found.stderr
    [change] = json.loads(mesh.clew("diff", "-f", "-", "-o", "json", input=REVIEWS).stdout)
    assert change["before"] is None
    assert change["after"]["spec"]["hosts"] == ["reviews"]
