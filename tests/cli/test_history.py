from __future__ import annotations

import json
from pathlib import Path

import yaml

from clew.stores.directory import DirectoryStore
from tests.cli.mesh import HALF, REVIEWS, Shell, shell
from tests.server.api_server import server_thread


def test_the_history_tells_who_when_and_what(mesh: Shell) -> None:
    mesh.good("apply", "-f", "-", input=REVIEWS)
    shell(mesh.home, CLEW_AUTHOR="grace").good("apply", "-f", "-", input=HALF)
    header, newest, oldest = mesh.good("history", "vs", "reviews").splitlines()
    assert header.split() == ["REVISION", "WHEN", "AGE", "WHO", "ACTION", "CHANGES"]
    assert newest.startswith("2 ")
    assert "2026-03-01T12:00:00Z" in newest
    assert "grace" in newest
    assert "update   spec.http[0].route[0].weight: 90 → 50" in newest
    assert oldest.split()[-1] == "create"


def test_an_old_revision_is_shown_as_it_was(mesh: Shell) -> None:
    for text in (REVIEWS, HALF):
        mesh.good("apply", "-f", "-", input=text)
    shown = yaml.safe_load(mesh.good("history", "vs", "reviews", "--revision", "1", "-o", "yaml"))
    assert shown["spec"]["http"][0]["route"][0]["weight"] == 90
    result = mesh.clew("history", "vs", "reviews", "--revision", "9")
    assert result.exit_code == 1
    assert "its newest are: 2, 1" in result.stderr


def test_a_deleted_object_still_has_a_history(mesh: Shell) -> None:
    mesh.good("apply", "-f", "-", input=REVIEWS)
    mesh.good("delete", "vs", "reviews")
    items = json.loads(mesh.good("history", "vs", "reviews", "-o", "json"))["items"]
    assert [item["action"] for item in items] == ["delete", "create"]
    assert mesh.clew("history", "vs", "never").exit_code == 1


def test_files_have_no_history_here(home: Path, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(REVIEWS)
    with server_thread(home, DirectoryStore(tmp_path)):
        result = shell(home).clew("history", "vs", "reviews")
        assert result.exit_code == 0
        assert "its store keeps none" in result.stderr
