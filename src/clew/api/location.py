"""Where a mesh keeps its sockets on this machine: a rule, and a look at the disk."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

DEFAULT_MESH = "default"
API_SOCKET = "api.sock"
XDS_SOCKET = "xds.sock"
CA_SOCKET = "ca.sock"

# sun_path has 108 bytes on Linux and 104 on BSD, the final zero included.
_LONGEST_SOCKET_PATH = 103


class BadLocation(ValueError):
    """The mesh's name or directory cannot be used; the message says why."""


class NoMesh(Exception):
    """No mesh of that name answers; the message says what was tried and what to do."""


def mesh_name(mesh: str, environ: Mapping[str, str]) -> str:
    """``--mesh``, else ``CLEW_MESH``, else "default"."""
    return mesh or environ.get("CLEW_MESH", "") or DEFAULT_MESH


def state_home(environ: Mapping[str, str]) -> Path:
    """``$CLEW_HOME``, else ``$XDG_STATE_HOME/clew``, else ``~/.local/state/clew``."""
    if environ.get("CLEW_HOME"):
        return Path(environ["CLEW_HOME"])
    if environ.get("XDG_STATE_HOME"):
        return Path(environ["XDG_STATE_HOME"]) / "clew"
    if environ.get("HOME"):
        return Path(environ["HOME"]) / ".local" / "state" / "clew"
    raise BadLocation("none of CLEW_HOME, XDG_STATE_HOME and HOME is set: set CLEW_HOME")


def mesh_directory(mesh: str, environ: Mapping[str, str]) -> Path:
    """The state directory of the mesh. Raises: BadLocation."""
    name = mesh_name(mesh, environ)
    if "/" in name or "\0" in name or name.startswith("."):
        raise BadLocation(f'"{name}" is no name for a mesh: it names a directory, so no "/"')
    return state_home(environ) / name


def socket_path(directory: Path, name: str) -> Path:
    """The path of a socket of the mesh. Raises: BadLocation when the kernel takes no such path."""
    path = directory / name
    length = len(str(path).encode())
    if length > _LONGEST_SOCKET_PATH:
        raise BadLocation(
            f"{path} is {length} bytes long, and the path of a Unix socket may have at most "
            f"{_LONGEST_SOCKET_PATH}: set CLEW_HOME to a shorter directory"
        )
    return path


def running_meshes(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the meshes of this user whose control plane accepts connections."""
    sockets = sorted(state_home(environ).glob(f"*/{API_SOCKET}"))
    return tuple(path.parent.name for path in sockets if is_served(path))


def no_mesh(mesh: str, environ: Mapping[str, str]) -> NoMesh:
    """The exception that says what was tried, what runs instead, and what to do."""
    name = mesh_name(mesh, environ)
    tried = mesh_directory(mesh, environ) / API_SOCKET
    running = [other for other in running_meshes(environ) if other != name]
    lines = [f'no mesh "{name}" is running: nothing answers at {tried}']
    if running:
        lines.append(f"  running here: {', '.join(running)} (choose one with --mesh or CLEW_MESH)")
    option = "" if name == DEFAULT_MESH else f" --mesh {name}"
    lines.append(f"  hint: start it with: clew up{option} FILES")
    return NoMesh("\n".join(lines))


def is_served(path: Path) -> bool:
    """Whether somebody accepts connections on the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
