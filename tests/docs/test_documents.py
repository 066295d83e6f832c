"""What the documents tell people to type exists, and what they link to as well."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from clew.cli.main import main
from clew.demo.steps import canary
from tests.docs.commands import DOCUMENTS, ROOT, Shown, shown_commands
from tests.e2e.mesh import needs_root, running_mesh

COMMANDS = [command for document in DOCUMENTS for command in shown_commands(document)]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("shown", COMMANDS, ids=lambda shown: shown.line)
def test_a_shown_command_has_the_options_it_is_shown_with(shown: Shown) -> None:
    _, name, *arguments = shlex.split(shown.line)
    root = click.Context(main, info_name="clew", **main.context_settings)
    command = main.get_command(root, name)
    assert command is not None, f"{shown.document.name} shows a command that is not there"
    context = click.Context(command, info_name=name, parent=root, **command.context_settings)
    command.make_parser(context).parse_args(arguments)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_files_that_the_architecture_names_are_there() -> None:
    named = re.findall(r"`([a-z_]+/[a-z_]+\.py)", (ROOT / "ARCHITECTURE.md").read_text())
    assert len(named) > 15
    assert [name for name in named if not (ROOT / "src" / "clew" / name).is_file()] == []


@needs_root
def test_the_first_tutorial_can_be_typed_from_top_to_bottom() -> None:
    tutorial = ROOT / "docs" / "tutorials" / "first-mesh.md"
    with running_mesh("tutorial", capture="netns") as mesh:
        # The tour, which the reader has seen before, has left routes to go back to.
        assert mesh.clew("apply", "-f", "-", text=canary(100, 0).manifest).returncode == 0
        for shown in shown_commands(tutorial):
            _, name, *arguments = shlex.split(shown.line)
            if name in ("demo", "down"):
                continue
            words = [w for w in arguments if w not in ("--mesh", "demo")]
            run = mesh.clew(name, *words, text=shown.text)
            assert run.returncode == 0, (shown.line, run.stdout, run.stderr)
        assert mesh.clew("down").returncode == 0
        assert mesh.process.wait(timeout=30) == 0
