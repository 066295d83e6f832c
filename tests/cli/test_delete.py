from __future__ import annotations

import json
from pathlib import Path

from tests.cli.mesh import REVIEWS, Shell

DELETED = 'virtualservice.networking.istio.io "reviews" deleted from default namespace'


def test_an_object_is_deleted_by_name(mesh: Shell) -> None:
    mesh.good("apply", "-f", "-", input=REVIEWS)
    assert mesh.good("delete", "vs", "reviews") == f"{DELETED}\n"
    assert mesh.good("get", "vs") == ""


def test_what_is_not_there_is_an_error_unless_ignored(mesh: Shell) -> None:
    mesh.good("apply", "-f", "-", input=REVIEWS)
    result = mesh.clew("delete", "vs", "reviws", "reviews")
    assert result.exit_code == 1
    assert 'did you mean "reviews"?' in result.stderr
    assert result.stdout == f"{DELETED}\n"
    assert mesh.good("delete", "vs/reviews", "--ignore-not-found") == ""


def test_the_objects_of_files_are_deleted(mesh: Shell, tmp_path: Path) -> None:
    mesh.good("apply", "-f", "-", input=REVIEWS)
    (tmp_path / "a.yaml").write_text(REVIEWS.replace("weight", "wieght"))
    assert mesh.good("delete", "-f", str(tmp_path)) == f"{DELETED}\n"


def test_a_dry_run_deletes_nothing(mesh: Shell) -> None:
    mesh.good("apply", "-f", "-", input=REVIEWS)
    output = mesh.good("delete", "vs", "reviews", "--dry-run=server")
    assert output == f"{DELETED} (server dry run)\n"
    assert "reviews" in mesh.good("get", "vs")


def test_all_objects_of_a_kind_are_deleted_only_when_asked(mesh: Shell) -> None:
    mesh.good("apply", "-f", "-", input=REVIEWS)
    assert mesh.clew("delete", "vs").exit_code == 2
    output = mesh.good("delete", "vs", "--all", "-o", "json")
    assert [item["result"] for item in json.loads(output)["items"]] == ["deleted"]


def test_nothing_named_and_everything_named_are_wrong_usage(mesh: Shell) -> None:
    assert mesh.clew("delete").exit_code == 2
    assert mesh.clew("delete", "vs", "reviews", "-f", "x.yaml").exit_code == 2
