"""The network of a mesh: one namespace with a bridge, and on it one namespace for each workload.

The machine's own network is not touched, but for one virtual cable into the mesh when we are
root. Everything ends with the process that holds the namespace, however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from clew.local import process
from clew.local.addresses import BRIDGE, GATEWAY, numbered
from clew.local.capture_choice import unshare_command
from clew.local.process import CommandFailed
from clew.local.relay import (
    Address,
    DatagramRelay,
    ask_resolvers,
    original_destination,
    serve_relay,
)

_FILES = "networks"
_RULES = "services.nft"
_STOP_SECONDS = 2.0

_SET_UP_MESH = """
ip link set lo up
ip link add name clew0 type bridge
ip addr add "$BRIDGE" dev clew0
ip link set clew0 up
nft -f -
"""
# All that is not the mesh's goes to the relay; there is no forwarding to the world outside.
_OUTBOUND_RULES = """
table ip clew {{
    chain prerouting {{
        type nat hook prerouting priority -100; policy accept;
        ip daddr {subnet} ip daddr != {bridge} return
        meta l4proto tcp redirect to :{port}
    }}
}}
"""
_SET_UP_CABLE = """
ip link del "$CABLE" 2>/dev/null || true
ip link add name "$CABLE" type veth peer name host0 netns "$HOLDER"
ip addr add "$ADDRESS" dev "$CABLE"
ip link set "$CABLE" up
"""
_SET_UP_WORKLOAD = """
: > "$FILE"
unshare --net="$FILE" true
ip link add name "$LINK" type veth peer name eth0 address "$MAC" netns "$FILE"
ip link set "$LINK" master clew0 up
exec nsenter --net="$FILE" sh -ec '
    ip link set lo up
    ip addr add "$ADDRESS" dev eth0
    ip link set eth0 up
    ip route add default via "$BRIDGE"
    if [ -e "$RULES" ]; then flock --shared "$FILES" nft --file "$RULES"; fi
'
"""
_REMOVE_WORKLOAD = """
ip link del "$LINK" 2>/dev/null || true
umount "$FILE" 2>/dev/null || true
rm -f "$FILE"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshNetwork:
    """How to reach the namespaces of a mesh. ``environ`` holds a PATH with the tools."""

    holder: int
    user_namespace: bool
    subnet: IPv4Network
    directory: Path
    environ: Mapping[str, str]

    @property
    def bridge(self) -> str:
        """The address at which workloads see this machine, and its DNS."""
        return numbered(self.subnet, BRIDGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """The world outside, as workloads see it: who resolves names, where connections really go."""

    resolvers: tuple[str, ...] = ()
    destination: Callable[[Address], Address] = lambda address: address


def enter_mesh(network: MeshNetwork) -> tuple[str, ...]:
    """A command prefix: runs the rest in the mesh's own namespace."""
    return (*_enter(network), "--net")


def enter_workload(network: MeshNetwork, address: str) -> tuple[str, ...]:
    """A command prefix: runs the rest in the namespace of the workload with this address."""
    return (*_enter(network), "nsenter", f"--net={_file(network, address)}")


def _enter(network: MeshNetwork) -> tuple[str, ...]:
    user = ("--user", "--preserve-credentials") if network.user_namespace else ()
    return ("nsenter", "--target", str(network.holder), "--mount", *user)


def namespace_files(network: MeshNetwork) -> Path:
    """The directory of one file per workload, on which its namespace is mounted."""
    return network.directory / _FILES


def rules_file(network: MeshNetwork) -> Path:
    """The nftables rules that every workload's namespace has, if there is such a file."""
    return network.directory / _RULES


def _file(network: MeshNetwork, address: str) -> Path:
    return namespace_files(network) / address


def _prefixed(network: MeshNetwork, address: str) -> str:
    return f"{address}/{network.subnet.prefixlen}"


@contextlib.asynccontextmanager
async def open_network(
    *,
    subnet: IPv4Network,
    user_namespace: bool,
    directory: Path,
    environ: Mapping[str, str],
    log: Path,
    mesh_hash: str,
    inbound: Sequence[tuple[socket.socket, Address]],
    outside: Outside,
) -> AsyncIterator[MeshNetwork]:
    """Make the mesh's network, serve its connections to the outside, and remove it in the end.

    ``inbound``: listening sockets of this machine, and where in the mesh their connections go.

    Raises:
        CommandFailed: a tool refuses.
    """
    _forget_files(directory)
    channel, theirs = socket.socketpair()
    with channel:
        holder = await _start_holder(theirs, inbound, user_namespace, environ, log)
        try:
            outbound, dns = await _receive_sockets(channel, log)
            network = MeshNetwork(
                holder=holder.pid,
                user_namespace=user_namespace,
                subnet=subnet,
                directory=directory,
                environ=environ,
            )
            await _set_up(network, outbound, mesh_hash)
            async with _serve_outside(network, outbound, dns, outside):
                yield network
        finally:
            if not user_namespace:
                with contextlib.suppress(CommandFailed):
                    await process.run(("ip", "link", "del", cable(mesh_hash)), env=environ)
            await process.stop(holder, seconds=_STOP_SECONDS)
            _forget_files(directory)


def cable(mesh_hash: str) -> str:
    """The name of the interface by which the machine itself is in the mesh's network."""
    return f"clew{mesh_hash}"


def _forget_files(directory: Path) -> None:
    """The files on which namespaces were mounted mean nothing without the holder."""
    files = directory / _FILES
    files.mkdir(mode=0o700, exist_ok=True)
    (directory / _RULES).unlink(missing_ok=True)
    for file in files.iterdir():
        file.unlink()


async def _start_holder(
    theirs: socket.socket,
    inbound: Sequence[tuple[socket.socket, Address]],
    user_namespace: bool,
    environ: Mapping[str, str],
    log: Path,
) -> Process:
    listeners = [f"{sock.fileno()}={host}:{port}" for sock, (host, port) in inbound]
    with theirs:
        return await process.start(
            (sys.executable, "-m", "clew.local.namespace_holder", str(theirs.fileno()), *listeners),
            enter=unshare_command(user_namespace),
            env=environ,
            log=log,
            pass_fds=(theirs.fileno(), *(sock.fileno() for sock, _ in inbound)),
        )


async def _receive_sockets(
    channel: socket.socket, log: Path
) -> tuple[socket.socket, socket.socket]:
    """Take over the sockets that the holder opened in its namespace."""
    receive = functools.partial(socket.recv_fds, channel, 16, 2)
    _, descriptors, _, _ = await asyncio.to_thread(receive)
    if len(descriptors) != 2:
        raise CommandFailed(f"the mesh's network cannot be made:\n{process.last_lines(log)}")
    outbound, dns = (socket.socket(fileno=descriptor) for descriptor in descriptors)
    outbound.setblocking(False)
    dns.setblocking(False)
    return outbound, dns


async def _set_up(network: MeshNetwork, outbound: socket.socket, mesh_hash: str) -> None:
    port = outbound.getsockname()[1]
    rules = _OUTBOUND_RULES.format(subnet=network.subnet, bridge=network.bridge, port=port)
    bridge = {"BRIDGE": _prefixed(network, network.bridge)}
    await _run(network, enter_mesh(network), _SET_UP_MESH, bridge, text=rules)
    if network.user_namespace:
        return  # only root may touch the machine's own network
    variables = {
        "CABLE": cable(mesh_hash),
        "HOLDER": str(network.holder),
        "ADDRESS": _prefixed(network, numbered(network.subnet, GATEWAY)),
    }
    await _run(network, (), _SET_UP_CABLE, variables)
    await _run(network, enter_mesh(network), "ip link set host0 master clew0 up", {})


async def add_workload(network: MeshNetwork, address: str) -> None:
    """Make the namespace of a workload and connect it. Raises: CommandFailed."""
    variables = _variables(network, address)
    await _run(network, enter_mesh(network), _REMOVE_WORKLOAD + _SET_UP_WORKLOAD, variables)


async def remove_workload(network: MeshNetwork, address: str) -> None:
    """Remove the namespace of a workload; processes in it lose their network."""
    with contextlib.suppress(CommandFailed):
        await _run(network, enter_mesh(network), _REMOVE_WORKLOAD, _variables(network, address))


def _variables(network: MeshNetwork, address: str) -> dict[str, str]:
    packed = socket.inet_aton(address)
    return {
        "FILE": str(_file(network, address)),
        # An interface name has at most 15 characters.
        "LINK": "w" + packed.hex(),
        # Who gets an address again is found at once by those that remember where it was: their
        # memory (ARP) would send to its former owner for half a minute.
        "MAC": (b"\x02\x00" + packed).hex(":"),
        "ADDRESS": _prefixed(network, address),
        "BRIDGE": network.bridge,
        "FILES": str(namespace_files(network)),
        "RULES": str(rules_file(network)),
    }


async def _run(
    network: MeshNetwork,
    enter: tuple[str, ...],
    script: str,
    variables: Mapping[str, str],
    text: str = "",
) -> None:
    env = {**network.environ, **variables}
    try:
        await process.run((*enter, "sh", "-ec", script), env=env, text=text)
    except CommandFailed as error:
        said = str(error).rpartition("\n")[2]
        raise CommandFailed(f"the mesh's network cannot be set up: {said}") from None


@contextlib.asynccontextmanager
async def _serve_outside(
    network: MeshNetwork, outbound: socket.socket, dns: socket.socket, outside: Outside
) -> AsyncIterator[None]:
    """Connect workloads to the world outside: TCP by relay, names by the machine's resolvers."""

    resolvers = outside.resolvers

    def target(accepted: socket.socket) -> Address:
        host, port = original_destination(accepted)
        if host != network.bridge:
            return outside.destination((host, port))
        return (resolvers[0] if port == 53 and resolvers else "127.0.0.1"), port

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: DatagramRelay(lambda question: ask_resolvers(question, resolvers)), sock=dns
    )
    serving = asyncio.ensure_future(serve_relay(outbound, target))
    try:
        yield
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        transport.close()


async def used_networks(environ: Mapping[str, str]) -> tuple[IPv4Network, ...]:
    """Return the networks that this machine has an address in or a route to."""
    text = await process.run(("ip", "-json", "-4", "route", "show", "table", "all"), env=environ)
    routes = json.loads(text or "[]")
    found = {str(route.get("dst", "")) for route in routes if route.get("type") != "local"}
    return tuple(IPv4Network(dst, strict=False) for dst in sorted(found) if dst[:1].isdigit())
