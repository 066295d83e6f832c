from __future__ import annotations

import json
from pathlib import Path

from clew.stores.directory import DirectoryStore
from tests.cli.mesh import HALF, REVIEWS, Shell, shell
from tests.server.api_server import server_thread

NAME = "virtualservice.networking.istio.io/reviews"
MISSPELT = REVIEWS.replace("weight: 90", "wieght: 90").replace("name: reviews", "name: bad")


def test_apply_says_what_it_did(mesh: Shell) -> None:
    assert mesh.good("apply", "-f", "-", input=REVIEWS) == f"{NAME} created\n"
    assert mesh.good("apply", "-f", "-", input=REVIEWS) == f"{NAME} unchanged\n"
    assert mesh.good("apply", "-f", "-", input=HALF) == f"{NAME} configured\n"


def test_files_and_directories_are_applied_in_order(mesh: Shell, tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(HALF)
    (tmp_path / "a.yaml").write_text(REVIEWS)
    (tmp_path / "c.txt").write_text("kind: [")
    assert mesh.good("apply", "-f", str(tmp_path)) == f"{NAME} created\n{NAME} configured\n"


def test_an_invalid_document_is_refused_with_reasons_and_the_rest_applied(
    mesh: Shell, tmp_path: Path
) -> None:
    file = tmp_path / "both.yaml"
    file.write_text(f"{MISSPELT}---\n{REVIEWS}")
    result = mesh.clew("apply", "-f", str(file))
    assert result.exit_code == 1
    assert result.stdout == f"{NAME} created\n"
    assert f"{file}:8:" in result.stderr
    assert 'did you mean "weight"?' in result.stderr
    assert "virtualservice.networking.istio.io/bad refused" in result.stderr


def test_a_kind_without_effect_yet_is_stored_with_a_warning(mesh: Shell) -> None:
    plugin = (
        "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {name: t}\n"
        "spec: {url: oci://example.com/t}"
    )
    result = mesh.clew("apply", "-f", "-", input=plugin)
    assert result.exit_code == 0
    assert "not yet effective" in result.stderr
    assert result.stdout == "wasmplugin.extensions.istio.io/t created\n"


def test_a_server_dry_run_changes_nothing(mesh: Shell) -> None:
    output = mesh.good("apply", "-f", "-", "--dry-run=server", input=REVIEWS)
    assert output == f"{NAME} created (server dry run)\n"
    assert mesh.good("get", "vs") == ""


def test_the_report_can_be_read_by_programs(mesh: Shell) -> None:
    result = mesh.clew("apply", "-f", "-", "-o", "json", input=f"{REVIEWS}---\n{MISSPELT}")
    assert result.exit_code == 1
    items = json.loads(result.stdout)["items"]
    assert [item["result"] for item in items] == ["created", "refused"]
    assert items[1]["diagnostics"][0]["field"] == "spec.http[0].route[0].wieght"


def test_the_namespace_option_is_for_objects_without_one(mesh: Shell) -> None:
    mesh.good("apply", "-n", "shop", "-f", "-", input=REVIEWS)
    assert "reviews" in mesh.good("get", "vs", "-n", "shop")


def test_text_that_is_no_object_is_refused(mesh: Shell) -> None:
    result = mesh.clew("apply", "-f", "-", input="kind: [")
    assert result.exit_code == 1
    assert "a document refused" in result.stderr
    assert "<stdin>:1" in result.stderr or "<stdin>:2" in result.stderr
    empty = mesh.clew("apply", "-f", "-", input="# nothing\n")
    assert empty.exit_code == 2
    assert "hold no objects" in empty.stderr


def test_a_file_that_is_not_there_is_wrong_usage(mesh: Shell) -> None:
    result = mesh.clew("apply", "-f", "absent.yaml")
    assert result.exit_code == 2
    assert "absent.yaml" in result.stderr


def test_without_a_mesh_the_message_says_what_was_tried_and_what_to_do(home: Path) -> None:
    result = shell(home, CLEW_MESH="shop").clew("apply", "-f", "-", input=REVIEWS)
    assert result.exit_code == 1
    assert f'no mesh "shop" is running: nothing answers at {home}/shop/api.sock' in result.stderr
    assert "clew up --mesh shop" in result.stderr


def test_without_that_mesh_the_message_names_those_that_run(home: Path) -> None:
    with server_thread(home, mesh="other"):
        result = shell(home).clew("get", "vs")
        assert "running here: other" in result.stderr
        assert shell(home).clew("get", "vs", "--mesh", "other").exit_code == 0


def test_a_mesh_of_files_says_where_to_change_things(home: Path, tmp_path: Path) -> None:
    with server_thread(home, DirectoryStore(tmp_path)):
        result = shell(home).clew("apply", "-f", "-", input=REVIEWS)
        assert result.exit_code == 1
        assert f"the files in {tmp_path}; change those" in result.stderr
