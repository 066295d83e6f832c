"""Which addresses a mesh uses: pure choices, made from what is in use already."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv4Network

from xxhash import xxh3_64_intdigest

# Seldom used by offices and homes; not by Docker (172.16/12) or Kubernetes (10.96/12, 10.244/16).
WORKLOADS = IPv4Network("10.200.0.0/13")
LOOPBACKS = IPv4Network("127.64.0.0/10")
# Addresses of services exist inside the mesh only, so every mesh has the same.
SERVICES = IPv4Network("10.208.0.0/16")
_PIECE = 22  # a thousand workloads

# The first addresses of a mesh's piece.
BRIDGE = 1  # in the mesh's network: the machine itself
GATEWAY = 2  # the ingress gateway
_RESERVED = 9


class NoFreeAddress(Exception):
    """All addresses of the range are taken."""


def mesh_hash(directory: str) -> str:
    """Six hex digits that tell the meshes of one machine apart."""
    return f"{xxh3_64_intdigest(directory.encode()) & 0xFFFFFF:06x}"


def choose_subnet(
    pool: IPv4Network, used: Iterable[IPv4Network], *, preference: int
) -> IPv4Network:
    """Return the first free /22 of ``pool``, starting at piece ``preference``, wrapping around.

    Meshes with different preferences choose differently even when they start at the same time.

    Raises:
        NoFreeAddress: every piece overlaps something used.
    """
    taken = [network for network in used if network.overlaps(pool) and network.prefixlen > 0]
    count = 1 << (_PIECE - pool.prefixlen)
    for offset in range(count):
        piece = _piece(pool, (preference + offset) % count)
        if not any(piece.overlaps(network) for network in taken):
            return piece
    raise NoFreeAddress(f"every /{_PIECE} of {pool} overlaps a network of this machine")


def _piece(pool: IPv4Network, index: int) -> IPv4Network:
    first = int(pool.network_address) + index * (1 << (32 - _PIECE))
    return IPv4Network((first, _PIECE))


def choose_address(subnet: IPv4Network, taken: Collection[str]) -> str:
    """Return the lowest free address for a workload. Raises: NoFreeAddress."""
    start = int(subnet.network_address)
    for number in range(start + _RESERVED + 1, start + subnet.num_addresses - 1):
        address = str(IPv4Address(number))
        if address not in taken:
            return address
    raise NoFreeAddress(f"all {subnet.num_addresses} addresses of {subnet} are taken")


def numbered(subnet: IPv4Network, number: int) -> str:
    """Return the address with this number within the subnet."""
    return str(subnet.network_address + number)


def choose_service_address(name: str, taken: Collection[str]) -> str:
    """Return an address for a service; the same name gets the same one if it is free.

    Raises:
        NoFreeAddress: there are more services than addresses.
    """
    usable = SERVICES.num_addresses - 2
    start = xxh3_64_intdigest(name.encode()) % usable
    for offset in range(usable):
        address = numbered(SERVICES, 1 + (start + offset) % usable)
        if address not in taken:
            return address
    raise NoFreeAddress(f"all addresses of {SERVICES} are taken")
