"""Owns the network namespace of a mesh: opens its sockets, and brings connections in from outside.

Runs as ``unshare … python -m clew.local.namespace_holder CHANNEL LISTENER=IP:PORT…``. CHANNEL is
the number of a Unix socket on which ``clew up`` receives this namespace's sockets; when it closes,
the holder ends. A LISTENER is an open socket of the outer network.
"""

from __future__ import annotations

import asyncio
import socket
import sys

from clew.local.relay import Address, serve_relay

DNS_PORT = 53


def open_sockets() -> tuple[socket.socket, socket.socket]:
    """Open what ``clew up`` serves the mesh on: TCP to everywhere outside, and DNS over UDP."""
    outbound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    outbound.bind(("0.0.0.0", 0))
    outbound.listen(1024)
    dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    dns.bind(("0.0.0.0", DNS_PORT))
    return outbound, dns


def parse_inbound(argument: str) -> tuple[socket.socket, Address]:
    descriptor, _, address = argument.partition("=")
    host, _, port = address.rpartition(":")
    return socket.socket(fileno=int(descriptor)), (host, int(port))


async def hold(channel: socket.socket, inbound: list[tuple[socket.socket, Address]]) -> None:
    """Relay from outside until the other end of ``channel`` is closed."""
    relays = [asyncio.ensure_future(_bring_in(*pair)) for pair in inbound]
    channel.setblocking(False)
    while await asyncio.get_running_loop().sock_recv(channel, 1):
        pass
    for relay in relays:
        relay.cancel()
    await asyncio.gather(*relays, return_exceptions=True)


async def _bring_in(listener: socket.socket, address: Address) -> None:
    listener.setblocking(False)
    await serve_relay(listener, lambda accepted: address)


def main(arguments: list[str]) -> None:
    channel = socket.socket(fileno=int(arguments[0]))
    sockets = open_sockets()
    socket.send_fds(channel, [b"sockets"], [opened.fileno() for opened in sockets])
    for opened in sockets:
        opened.close()
    asyncio.run(hold(channel, [parse_inbound(argument) for argument in arguments[1:]]))


if __name__ == "__main__":
    main(sys.argv[1:])
