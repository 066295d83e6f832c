from __future__ import annotations

import json

from tests.cli.mesh import HALF, REVIEWS, Shell

NAME = "virtualservice.networking.istio.io/reviews"


def weight(mesh: Shell) -> int:
    route = json.loads(mesh.good("get", "vs", "reviews", "-o", "json"))["spec"]["http"][0]["route"]
    return int(route[0]["weight"])


def test_a_rollback_brings_the_previous_revision_back(mesh: Shell) -> None:
    for text in (REVIEWS, HALF):
        mesh.good("apply", "-f", "-", input=text)
    assert mesh.good("rollback", "vs", "reviews") == f"{NAME} rolled back to revision 1\n"
    assert weight(mesh) == 90
    assert "rollback" in mesh.good("history", "vs", "reviews")


def test_a_rollback_goes_to_the_revision_that_is_named(mesh: Shell) -> None:
    for text in (REVIEWS, HALF, REVIEWS):
        mesh.good("apply", "-f", "-", input=text)
    output = mesh.good("rollback", "vs/reviews", "--to", "2", "--dry-run=server")
    assert output == f"{NAME} rolled back to revision 2 (server dry run)\n"
    assert weight(mesh) == 90
    mesh.good("rollback", "vs/reviews", "--to", "2")
    assert weight(mesh) == 50
    assert "unchanged: it is as in revision 2" in mesh.good("rollback", "vs/reviews", "--to", "2")


def test_a_deleted_object_comes_back(mesh: Shell) -> None:
    mesh.good("apply", "-f", "-", input=REVIEWS)
    mesh.good("delete", "vs", "reviews")
    mesh.good("rollback", "vs", "reviews")
    assert weight(mesh) == 90


def test_without_an_earlier_revision_nothing_happens(mesh: Shell) -> None:
    mesh.good("apply", "-f", "-", input=REVIEWS)
    result = mesh.clew("rollback", "vs", "reviews")
    assert result.exit_code == 1
    assert "no earlier revision" in result.stderr
    assert "there is no VirtualService default/never" in mesh.clew("rollback", "vs/never").stderr
    assert mesh.clew("rollback", "vs").exit_code == 2
