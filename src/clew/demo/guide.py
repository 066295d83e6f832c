"""Runs the mesh of the demo, takes the tour through it, and prints what it sees."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

import yaml
from rich.console import Console
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table

from clew.api.client import Client
from clew.api.location import API_SOCKET, mesh_directory, socket_path
from clew.api.messages import ApplyReport
from clew.demo.bookinfo.images import IMAGES
from clew.demo.steps import STEPS, Step
from clew.demo.tour import Result, count_tcp_answers, take_steps
from clew.local.state import read_state

MANIFESTS = Path(__file__).parent / "bookinfo" / "manifests"
FILES = (
    "bookinfo.yaml",
    "bookinfo-versions.yaml",
    "tcp-echo.yaml",
    "destination-rules.yaml",
    "gateway.yaml",
)
UP_SECONDS = 60.0
SYNC_SECONDS = 10.0
STOP_SECONDS = 60.0


class DemoFailed(Exception):
    """The demo's mesh did not come up, or a step could not be taken; the message says why."""


def guide(*, mesh: str, port: int | None, capture: str | None, leave: bool) -> bool:
    """Run the demo and return whether every step held.

    Raises: DemoFailed.
    """
    console, started = Console(), time.monotonic()
    directory = mesh_directory(mesh, os.environ)
    with _up(mesh, port, capture) as process:
        address = _wait_until_served(process, directory)
        took = time.monotonic() - started
        console.print(
            f"\n[bold]Bookinfo answers after {took:.1f} s:[/] "
            f"http://{address[0]}:{address[1]}/productpage\n"
        )
        results = list(_tour(console, directory, mesh, address))
        _print_summary(console, results)
        if not leave:
            console.print(f"\nThe mesh stays up: try `clew status --mesh {mesh}`. Ctrl-C ends it.")
            _wait_for_the_end(process)
    return all(result.holds for result in results)


@contextmanager
def _up(mesh: str, port: int | None, capture: str | None) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``clew up`` for the demo's files, and stop it in order at the end."""
    with NamedTemporaryFile("w", suffix=".yaml") as images:
        yaml.safe_dump({image: list(command) for image, command in IMAGES.items()}, images)
        images.flush()
        command = [sys.executable, "-m", "clew", "up", "--mesh", mesh, "--images", images.name]
        command += ["--port", str(port)] if port else []
        command += ["--capture", capture] if capture else []
        command += [str(MANIFESTS / name) for name in FILES]
        process = subprocess.Popen(command, start_new_session=True)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(timeout=STOP_SECONDS)


def _wait_until_served(process: subprocess.Popen[bytes], directory: Path) -> tuple[str, int]:
    """Return the ingress gateway's address, once the mesh is up and productpage answers."""
    deadline = time.monotonic() + UP_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise DemoFailed(f"`clew up` ended with {process.returncode}; it says why above")
        state = read_state(directory)
        if state is not None and state.up and _answers(state.http_port):
            return "127.0.0.1", state.http_port
        time.sleep(0.05)
    raise DemoFailed(f"productpage did not answer within {UP_SECONDS:.0f} s; see `clew ps`")


def _answers(port: int) -> bool:
    url = f"http://127.0.0.1:{port}/api/v1/products/0/reviews"
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _tour(
    console: Console, directory: Path, mesh: str, address: tuple[str, int]
) -> Iterator[Result]:
    def announce(step: Step) -> None:
        manifest = Syntax(step.manifest.strip(), "yaml", background_color="default")
        console.print(Panel(manifest, title=f"clew apply: {step.title}", title_align="left"))

    with Client(socket_path(directory, API_SOCKET)) as client:
        for result in take_steps(
            STEPS,
            apply=lambda manifest: apply_everywhere(client, manifest),
            address=address,
            count_tcp=lambda connections: count_tcp_answers(mesh, connections),
            announce=announce,
        ):
            console.print(_table(result))
            yield result


def apply_everywhere(client: Client, manifest: str) -> None:
    """Apply, and return when every connected proxy has answered what that changed.

    Raises: DemoFailed.
    """
    report: ApplyReport = client.apply(manifest, namespace="default")
    if refused := [item for item in report.items if item.result == "refused"]:
        raise DemoFailed(f"refused: {refused[0].error or refused[0].diagnostics}")
    revision = max(item.revision for item in report.items)
    deadline = time.monotonic() + SYNC_SECONDS
    while time.monotonic() < deadline:
        if client.proxies().has_settled(revision):
            return
        time.sleep(0.01)
    raise DemoFailed(f"not every proxy acknowledged revision {revision} in {SYNC_SECONDS:.0f} s")


def _table(result: Result) -> Table:
    table = Table("traffic", "version", "wanted", "measured", "deviation", "holds")
    for measured in result.measured:
        for share in measured.shares:
            table.add_row(
                measured.traffic.value,
                share.version,
                f"{share.wanted:.1%}",
                f"{share.measured:.1%} of {share.requests}",
                f"{share.deviation:.1f} σ",  # noqa: RUF001  # the unit of the column
                "[green]yes[/]" if share.holds else "[red]no[/]",
            )
        for failure in dict.fromkeys(measured.failures):
            table.add_row("[red]failed[/]", failure, "", "", "", "[red]no[/]")
    return table


def _print_summary(console: Console, results: Sequence[Result]) -> None:
    failed = sum(len(m.failures) for result in results for m in result.measured)
    held = sum(result.holds for result in results)
    console.print(
        f"\n[bold]{held} of {len(results)} steps held; {failed} failed requests while routes "
        "changed under load; nothing was restarted.[/]"
    )


def _wait_for_the_end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait()
    except KeyboardInterrupt:
        return
