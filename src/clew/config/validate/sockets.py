"""Rules for Unix sockets as addresses: ``unix:///path`` or, abstract, ``unix://@name``."""

from __future__ import annotations

from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding

UNIX = "unix://"


def check_socket(address: str, path: FieldPath) -> Iterator[Finding]:
    """Source: istio ``ValidateUnixAddress``."""
    socket = address.removeprefix(UNIX)
    if not socket.startswith(("/", "@")):
        yield Finding(path, "the path of a Unix socket must be absolute (or abstract: @name)")
    elif socket.startswith("/") and socket.endswith("/"):
        yield Finding(path, "a directory is not a Unix socket")
