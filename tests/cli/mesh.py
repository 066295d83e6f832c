"""Commands against a real admin API, as a user runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner, Result

from clew.cli.main import main

REVIEWS = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - route:
    - {destination: {host: reviews, subset: v1}, weight: 90}
    - {destination: {host: reviews, subset: v3}, weight: 10}
"""
HALF = REVIEWS.replace("weight: 90", "weight: 50").replace("weight: 10", "weight: 50")


@dataclass(frozen=True, slots=True)
class Shell:
    """A user's terminal: their environment, and ``clew``."""

    home: Path
    environ: Mapping[str, str]

    def clew(self, *arguments: str, input: str | None = None) -> Result:
        return CliRunner(env=dict(self.environ)).invoke(main, arguments, input=input)

    def good(self, *arguments: str, input: str | None = None) -> str:
        """What a command prints that must succeed."""
        result = self.clew(*arguments, input=input)
        assert result.exit_code == 0, result.output
        return result.stdout


def shell(home: Path, **environ: str) -> Shell:
    cleared = {"CLEW_MESH": "", "CLEW_AUTHOR": "", "XDG_STATE_HOME": ""}
    return Shell(home, cleared | {"CLEW_HOME": str(home)} | environ)
