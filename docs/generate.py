"""Writes docs/reference/cli.md from the commands themselves: ``make docs``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from clew.cli.main import COMMANDS, main

TARGET = Path(__file__).parent / "reference" / "cli.md"


def cli_reference() -> str:
    """Return the Markdown page with the help text of every command."""
    # click wraps help texts to the terminal's width; a document has one width.
    os.environ["COLUMNS"] = "100"
    parts = ["# The command line\n", "Generated from the commands' own help by `make docs`.\n"]
    root = click.Context(main, info_name="clew", **main.context_settings)
    parts.append(f"```text\n{main.get_help(root)}\n```\n")
    for name in COMMANDS:
        command = main.get_command(root, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=root)
        parts.append(f"## clew {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(cli_reference())
