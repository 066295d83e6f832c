"""Who has which address of the mesh; shared by ``clew up`` and every ``clew run``."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path

import msgspec

from clew.ca.private_file import write_private
from clew.local.addresses import choose_address

_FILE = "addresses.json"
_LOCK = "addresses.lock"


def lease(directory: Path, subnet: IPv4Network, owner: str) -> str:
    """Return an address that is ``owner``'s until it is released. Raises: NoFreeAddress."""
    with _leases(directory) as leases:
        if owner not in leases:
            leases[owner] = choose_address(subnet, frozenset(leases.values()))
        return leases[owner]


def release(directory: Path, owner: str) -> None:
    with _leases(directory) as leases:
        leases.pop(owner, None)


def release_all(directory: Path) -> None:
    (directory / _FILE).unlink(missing_ok=True)


@contextmanager
def _leases(directory: Path) -> Iterator[dict[str, str]]:
    """The addresses by owner; what the caller changes is written back. One caller at a time."""
    file = directory / _FILE
    with (directory / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        leases: dict[str, str] = msgspec.json.decode(file.read_bytes()) if file.exists() else {}
        yield leases
        write_private(file, msgspec.json.encode(leases))
