"""A proxy of a running mesh starts anew with what has been said of it since."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest

from clew.local.state import agent_directory
from tests.e2e.mesh import eventually
from tests.local.test_mesh import Terminal, started

SETTINGS = """\
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: threads, namespace: default}
spec:
  selector: {matchLabels: {app: web}}
  concurrency: 2
  environmentVariables: {COLOUR: blue}
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: prefix, namespace: default}
spec:
  configPatches:
  - applyTo: BOOTSTRAP
    patch: {operation: MERGE, value: {header_prefix: x-our}}
"""


def has_prefix(terminal: Terminal) -> bool:
    """Whether the bootstrap of the replica has what the patch puts there."""
    directory = agent_directory(terminal.home / "default", "default", "*")
    files = directory.parent.glob("web-*/envoy.json")
    return any("header_prefix" in json.loads(file.read_text()) for file in files)


def envoy(terminal: Terminal, name: str, file: str) -> list[str]:
    """The ``cmdline`` or ``environ`` of a replica's Envoy."""
    directory = agent_directory(terminal.home / "default", "default", name)
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            text = (process / "cmdline").read_text()
            if "envoy.json" in text and (process / "cwd").readlink() == directory:
                return (process / file).read_text().split("\0")
    raise AssertionError(f"no Envoy of {name} is running")


@pytest.mark.proves(
    "ProxyConfigSpec.concurrency",
    "ProxyConfigSpec.environmentVariables",
    "EnvoyConfigObjectPatch.applyTo=BOOTSTRAP",
)
def test_settings_are_taken_at_the_next_start() -> None:
    with started("env") as terminal:
        (before,) = terminal.ready()
        applied = terminal.clew("apply", "-f", "-", "--wait", text=SETTINGS)
        assert applied.returncode == 0, applied.stdout + applied.stderr
        assert not has_prefix(terminal)
        described = terminal.clew("describe", "envoyfilter", "prefix").stdout
        assert "a proxy takes this patch when it starts" in described
        first = envoy(terminal, before, "cmdline")
        assert first[first.index("--concurrency") + 1] == "1"
        terminal.clew("delete", "pod", before)
        eventually(
            lambda: terminal.ready() and has_prefix(terminal), what="a new Pod for the deleted one"
        )
        (after,) = terminal.ready()
        second = envoy(terminal, after, "cmdline")
        assert second[second.index("--concurrency") + 1] == "2"
        assert "COLOUR=blue" in envoy(terminal, after, "environ")
        assert terminal.ask().stdout == "hello\n"
