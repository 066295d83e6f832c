"""Free TCP ports of this machine, where processes share its addresses."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable, Iterator

# Below the range from which Linux takes ports for outgoing connections.
_FIRST, _LAST = 20000, 32000


class PortTaken(Exception):
    """Somebody listens there already, or we may not."""


class Ports:
    """Hands out ports that are free, each only once, and none of ``reserved``.

    A port that people know is kept for this process until it ends, whoever's mesh comes next: its
    gateway may not listen yet, and Envoys would share the port without a word.
    """

    def __init__(self, reserved: Iterable[int] = ()) -> None:
        self._given = set(reserved)

    def take(self) -> int:
        for port in _candidates():
            if port not in self._given and is_free(port):
                self._given.add(port)
                return port
        raise PortTaken(f"no port from {_FIRST} to {_LAST} is free")

    def take_near(self, wanted: int) -> int:
        """Return ``wanted`` or the first free port after it."""
        port = next(
            p for p in range(wanted, 65536) if p not in self._given and is_free(p) and _keep(p)
        )
        self._given.add(port)
        return port

    def take_exactly(self, port: int) -> int:
        """Return ``port``. Raises: PortTaken."""
        try:
            _try(port)
        except OSError as error:
            raise PortTaken(f"port {port} of 127.0.0.1 cannot be used: {error.strerror}") from None
        if not _keep(port):
            raise PortTaken(f"port {port} of 127.0.0.1 is another mesh's, which is starting")
        self._given.add(port)
        return port


def _keep(port: int) -> bool:
    """Claim the port among clew's processes, by a name that only one of them can have.

    An abstract socket needs no file, and is free again when the process ends, however it ends.
    """
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(f"\0clew-port-{port}")
    except OSError:
        claim.close()
        return False
    claim.detach()  # open until the process ends
    return True


def _candidates() -> Iterator[int]:
    """Every port once, from a random one on, so that two programs seldom choose the same."""
    count = _LAST - _FIRST
    start = random.randrange(count)
    return (_FIRST + (start + offset) % count for offset in range(count))


def is_free(port: int) -> bool:
    try:
        _try(port)
    except OSError:
        return False
    return True


def _try(port: int) -> None:
    """Take the port for a moment, on all addresses: each listener there would be in the way."""
    for address in ("127.0.0.1", "0.0.0.0"):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((address, port))
