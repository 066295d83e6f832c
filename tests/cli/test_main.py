"""The command itself: what it says of a name that it does not know."""

from __future__ import annotations

from click.testing import CliRunner

from clew.cli.main import main


def test_a_misspelt_command_is_told_what_was_probably_meant() -> None:
    found = CliRunner().invoke(main, ["grph"])
    assert found.exit_code == 2
    assert "Did you mean 'graph'" in found.stderr
