"""How commands reach a running mesh, and what they say when they do not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from clew.api.client import ApiError, Client, Unreachable
from clew.api.location import (
    API_SOCKET,
    BadLocation,
    NoMesh,
    is_served,
    mesh_directory,
    no_mesh,
    socket_path,
)
from clew.local.state import is_locked

# How long a control plane takes at most to come back, or to come up.
_RESTART_SECONDS = 15.0

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

mesh_option: Decorator = click.option(
    "--mesh", default="", metavar="NAME", help="Which mesh (else CLEW_MESH, else default)."
)
namespace_option: Decorator = click.option(
    "-n", "--namespace", default="", metavar="NS", help="The namespace [default: default]."
)
dry_run_option: Decorator = click.option(
    "--dry-run",
    type=click.Choice(["none", "server"]),
    default="none",
    help="server: decide everything and change nothing.",
)


@contextmanager
def connected(mesh: str) -> Iterator[Client]:
    """A client of the mesh. What goes wrong with it ends the command with a message."""
    try:
        directory = mesh_directory(mesh, os.environ)
        socket = socket_path(directory, API_SOCKET)
        if not _comes_up(socket, directory):
            raise no_mesh(mesh, os.environ)
        with Client(socket) as client:
            yield client
    except BadLocation as error:
        raise click.UsageError(str(error)) from None
    except NoMesh as error:
        raise click.ClickException(str(error)) from None
    except Unreachable:
        raise click.ClickException(str(no_mesh(mesh, os.environ))) from None
    except ApiError as error:
        raise click.ClickException(_refusal(error)) from None


def _comes_up(socket: Path, directory: Path) -> bool:
    """Whether the control plane answers: at once, or soon, as a mesh that runs restarts it."""
    until = time.monotonic() + _RESTART_SECONDS
    while not is_served(socket):
        if not is_locked(directory) or time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def author() -> str:
    """``CLEW_AUTHOR``; without it the control plane takes the Unix user of the socket."""
    return os.environ.get("CLEW_AUTHOR", "")


def _refusal(error: ApiError) -> str:
    lines = [error.problem.message, *(found.text for found in error.diagnostics)]
    hint = error.problem.hint
    return "\n".join(lines + ([f"  hint: {hint}"] if hint else []))
