"""Sockets that proxies, agents and clients of the admin API connect to."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

from clew.api.location import is_served

# A mesh that reconnects as a whole waits in the kernel, not in retries.
BACKLOG = 4096
_LONGEST_PATH = 107


def listen(address: str) -> socket.socket:
    """Bind ``unix:/path``, for the owner only, or ``host:port``.

    What a dead process left at the path is replaced.

    Raises:
        OSError: the address cannot be bound; the text says what to do.
    """
    if not address.startswith("unix:") and not _is_host_and_port(address):
        raise OSError(f"cannot listen on {address}: it must be HOST:PORT, as in 127.0.0.1:15012")
    try:
        if address.startswith("unix:"):
            return _unix(Path(address.removeprefix("unix:")))
        return _tcp(address)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(f"cannot listen on {address}: {reason}; {_advice(address)}") from error


def _advice(address: str) -> str:
    if not address.startswith("unix:"):
        return "is another control plane running, or another program? Choose another port"
    if len(address) > len("unix:") + _LONGEST_PATH:
        return "use a shorter state directory (--state-dir), socket paths are limited to 107 bytes"
    return "is another control plane running with this state directory?"


def _is_host_and_port(address: str) -> bool:
    port = address.rpartition(":")[2]
    return port.isdecimal() and int(port) <= 65535


def _tcp(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, int(port)), family=family, backlog=BACKLOG)


def is_of_owner(peer: socket.socket) -> bool:
    """Whether the process at the other end of a Unix socket is of our user, or of root."""
    return user_of(peer) in (0, os.geteuid())


def user_of(peer: socket.socket) -> int:
    """The id of the user whose process is at the other end of a Unix socket."""
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, user, _group = struct.unpack("3i", credentials)
    return int(user)


def _unix(path: Path) -> socket.socket:
    if is_served(path):
        raise OSError("somebody serves there already")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Before listen() nobody can connect, so the mode is right from the first moment.
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
