"""``clew validate``: what people, scripts and shells get from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from clew.cli.main import main

GOOD = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n"
BAD = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: g, namespace: n}
spec:
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    host: [a.example.com]
"""


def run(*arguments: str, text: str | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["validate", *arguments], input=text)
    return result.exit_code, result.output


def test_json_has_one_entry_per_document_in_order() -> None:
    code, output = run("-f", "-", "-o", "json", text=f"{GOOD}---\n{BAD}")
    good, bad = json.loads(output)
    assert code == 1
    assert good == {
        "kind": "Namespace",
        "namespace": "",
        "name": "a",
        "valid": True,
        "errors": [],
        "warnings": [],
    }
    assert (bad["kind"], bad["namespace"], bad["name"], bad["valid"]) == (
        "Gateway",
        "n",
        "g",
        False,
    )
    assert bad["errors"][0] == {
        "path": "spec.servers[0].host",
        "line": 11,
        "column": 5,
        "message": 'unknown field; did you mean "hosts"?',
    }


def test_a_document_that_is_not_yaml_has_an_entry_too() -> None:
    code, output = run("-f", "-", "-o", "json", text=f"a: [\n---\n{GOOD}")
    assert code == 1
    assert [entry["valid"] for entry in json.loads(output)] == [False, True]


def test_directories_are_searched_for_manifests(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "below" / "b.yml").write_text(GOOD)
    (tmp_path / "notes.txt").write_text("not a manifest")
    assert run("-f", str(tmp_path))[1].strip() == "1 document, 0 with errors"
    assert run("-R", "-f", str(tmp_path))[1].strip() == "2 documents, 0 with errors"


def test_a_missing_file_is_wrong_usage(tmp_path: Path) -> None:
    code, output = run("-f", str(tmp_path / "absent.yaml"))
    assert code == 2
    assert "absent.yaml" in output


def test_a_file_that_cannot_be_read_is_wrong_usage_and_nothing_is_done(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_bytes(b"kind: x\nname: \xff\n")
    code, output = run("-f", str(tmp_path))
    assert code == 2
    assert "b.yaml: line 2 is not text in UTF-8. Nothing was done with any file." in output


def test_a_directory_without_manifests_is_wrong_usage(tmp_path: Path) -> None:
    code, output = run("-f", str(tmp_path))
    assert code == 2
    assert "no file ends with .yaml, .yml or .json" in output
    assert "-R looks" in output


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("a:\n\tb: x", "spaces, not tabs"),
        ("hosts:\n- *.example.com", '"*.example.com"'),
        ("a: @b", "@ needs quotes"),
        ("a: b: c", "needs quotes"),
        ("a: {{ .Values.a }}", "template"),
        ("a:\n  b: c\n d: e", "indented as those above"),
    ],
)
def test_what_is_not_yaml_is_explained(text: str, cause: str) -> None:
    assert cause in run("-f", "-", text=text)[1]


def test_mesh_config_is_checked_where_istio_keeps_it() -> None:
    text = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    trustDomian: example.org
"""
    code, output = run("-f", "-", text=text)
    assert code == 1
    assert "data.mesh.trustDomian" in output
    assert 'did you mean "trustDomain"?' in output
