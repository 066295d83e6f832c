"""How commands reach a running mesh, and what they say when they do not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import httpx2

from clew.api.answers import ApiError, Unreachable
from clew.api.client import Client
from clew.api.location import (
    API_SOCKET,
    BadLocation,
    NoMesh,
    is_served,
    mesh_directory,
    no_mesh,
    socket_path,
)
from clew.api.remote import BadRemote, remote
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


_SERVER, _TOKEN_FILE, _SERVER_CA = "clew.server", "clew.token-file", "clew.server-ca"
# Of commands that need nothing of this machine; `clew.cli.main` adds them.
REMOTE_OPTIONS = (
    click.Option(
        ["--server"],
        envvar="CLEW_SERVER",
        metavar="URL",
        expose_value=False,
        callback=lambda context, _, value: _remember(context, _SERVER, value),
        help="Ask the control plane at https://host:port instead (CLEW_SERVER).",
    ),
    click.Option(
        ["--token-file"],
        envvar="CLEW_TOKEN_FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        expose_value=False,
        callback=lambda context, _, value: _remember(context, _TOKEN_FILE, value),
        help="What to show to --server, from `clew token create` (CLEW_TOKEN_FILE).",
    ),
    click.Option(
        ["--server-ca"],
        envvar="CLEW_SERVER_CA",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        expose_value=False,
        callback=lambda context, _, value: _remember(context, _SERVER_CA, value),
        help="Roots to verify --server by, if it has no certificate of its mesh (CLEW_SERVER_CA).",
    ),
)


def _remember(context: click.Context, name: str, value: Any) -> None:
    context.meta[name] = value


def _server() -> str | None:
    context = click.get_current_context(silent=True)
    return context.meta.get(_SERVER) if context is not None else None


def _remote() -> httpx2.Client | None:
    """A client of the control plane elsewhere that the command was told of. Raises: BadRemote."""
    server = _server()
    if not server:
        return None
    meta = click.get_current_context().meta
    if (file := meta.get(_TOKEN_FILE)) is None:
        raise BadRemote("--server needs --token-file: clew token create --role viewer makes one")
    return remote(server, file, meta.get(_SERVER_CA))


class Interrupted(click.ClickException):
    """The control plane went away while it answered; the mesh starts it again."""


@contextmanager
def connected(mesh: str) -> Iterator[Client]:
    """A client of the mesh. What goes wrong with it ends the command with a message."""
    try:
        if (elsewhere := _remote()) is not None:
            with Client(elsewhere) as client:
                yield client
            return
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
    except BadRemote as error:
        raise click.UsageError(str(error)) from None
    except Unreachable as error:
        if (server := _server()) is not None:
            problem = f"{server} does not answer as the control plane of this token: {error}"
            raise click.ClickException(problem) from None
        if is_locked(mesh_directory(mesh, os.environ)):
            raise Interrupted(
                "the control plane went away, and is started again: see clew logs --control-plane"
                "\n  hint: repeat the command"
            ) from None
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
