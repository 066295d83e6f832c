"""What the documents tell people to type exists, and what they link to as well."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
import yaml

from clew.cli.main import main
from clew.demo.steps import canary
from tests.ca.issuer import Issuer
from tests.ca.plugged_in_files import files
from tests.docs.commands import DOCUMENTS, ROOT, Shown, shown_commands
from tests.e2e.mesh import Mesh, eventually, needs_root, running_mesh

COMMANDS = [command for document in DOCUMENTS for command in shown_commands(document)]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("shown", COMMANDS, ids=lambda shown: shown.line)
def test_a_shown_command_has_the_options_it_is_shown_with(shown: Shown) -> None:
    _, name, *arguments = shlex.split(shown.line)
    root = click.Context(main, info_name="clew", **main.context_settings)
    command = main.get_command(root, name)
    assert command is not None, f"{shown.document.name} shows a command that is not there"
    context = click.Context(command, info_name=name, parent=root, **command.context_settings)
    while isinstance(command, click.Group):
        name, *arguments = arguments
        command = command.commands[name]
        context = click.Context(command, info_name=name, parent=context)
    command.make_parser(context).parse_args(arguments)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_files_that_the_architecture_names_are_there() -> None:
    named = re.findall(r"`((?:[a-z0-9_]+/)+[a-z0-9_]+\.py)", (ROOT / "ARCHITECTURE.md").read_text())
    assert len(named) > 15
    assert [name for name in named if not (ROOT / "src" / "clew" / name).is_file()] == []


@needs_root
def test_the_page_about_the_authority_can_be_typed_from_top_to_bottom() -> None:
    page = ROOT / "docs" / "how-to" / "certificate-authority.md"
    corporate = Issuer.root("Corporate Root", datetime.now(UTC))
    plugged = files(corporate.authority("Mesh CA", datetime.now(UTC)), corporate)
    with running_mesh("authority", capture="netns") as mesh:
        for shown in shown_commands(page):
            _, name, *arguments = shlex.split(shown.line)
            if name in ("server", "agent"):  # which tests/e2e/test_joining_host.py starts
                continue
            text = _with_real_files(shown.text, plugged)
            # What a shell would do.
            words = arguments[: arguments.index(">")] if ">" in arguments else arguments
            if "ID" in words:
                [token, *_] = json.loads(mesh.clew("ca", "token", "list", "-o", "json").stdout)
                words[words.index("ID")] = token["id"]
            run = mesh.clew(name, *words, text=text)
            assert run.returncode == 0, (shown.line, run.stdout, run.stderr)
        eventually(lambda: _root(mesh) == "CN=Corporate Root", what="it is in force")


@needs_root
def test_the_page_about_policies_can_be_typed_from_top_to_bottom() -> None:
    page = ROOT / "docs" / "how-to" / "authorization.md"
    said = []
    with running_mesh("policies", capture="netns") as mesh:
        for shown in shown_commands(page):
            run = mesh.clew(*shlex.split(shown.line)[1:], text=shown.text)
            asked = shown.line.startswith("clew authz can")
            assert run.returncode in ((0, 1) if asked else (0,)), (shown.line, run.stderr)
            if asked:
                said.append(run.stdout)
            elif shown.line.startswith("clew proxy-log"):
                assert mesh.get("/api/v1/products/0/reviews")[0] == 200
        status, _ = mesh.get("/api/v1/products/0/reviews")
    outcomes = [each.partition(":")[0] for each in said]
    assert outcomes == ["allowed", "allowed", "allowed", "allowed"]
    rule = "ns[default]-policy[reviews]-rule[0]"
    assert f"dry run: {rule} would allow it" in said[1]
    assert "dry run: no ALLOW rule that is tried would allow it" in said[2]
    assert f"allowed by {rule}" in said[3]
    assert status == 200


def _with_real_files(text: str, plugged: Mapping[str, bytes]) -> str:
    """The manifest of a page, with the files that it leaves out."""
    if "cacerts" not in text:
        return text
    manifest = yaml.safe_load(text)
    manifest["stringData"] = {each: plugged[each].decode() for each in manifest["stringData"]}
    return str(yaml.safe_dump(manifest))


def _root(mesh: Mesh) -> str:
    found = json.loads(mesh.clew("ca", "status", "-o", "json").stdout)
    return "" if found["phase"] else str(found["root"]["subject"])


@needs_root
def test_the_first_tutorial_can_be_typed_from_top_to_bottom() -> None:
    tutorial = ROOT / "docs" / "tutorials" / "first-mesh.md"
    with running_mesh("tutorial", capture="netns") as mesh:
        # The tour, which the reader has seen before, has left routes to go back to.
        assert mesh.clew("apply", "-f", "-", text=canary(100, 0).manifest).returncode == 0
        for shown in shown_commands(tutorial):
            _, name, *arguments = shlex.split(shown.line)
            if name in ("demo", "down", "dashboard"):  # The last one: tests/console drives it.
                continue
            words = [w for w in arguments if w not in ("--mesh", "demo")]
            run = mesh.clew(name, *words, text=shown.text)
            assert run.returncode == 0, (shown.line, run.stdout, run.stderr)
        assert mesh.clew("down").returncode == 0
        assert mesh.process.wait(timeout=30) == 0
