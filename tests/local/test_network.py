"""Real namespaces; skipped by name where they are not allowed."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from clew.local import process
from clew.local.addresses import WORKLOADS, choose_subnet, mesh_hash, numbered
from clew.local.capture_choice import Trial, tool_path, try_network
from clew.local.network import (
    MeshNetwork,
    Outside,
    add_workload,
    cable,
    enter_workload,
    open_network,
    remove_workload,
    used_networks,
)
from clew.local.process import CommandFailed
from clew.local.relay import Address

ENVIRON = {"PATH": tool_path(os.environ)}
TRIAL: Trial = try_network(os.environ)

needs_namespaces = pytest.mark.skipif(bool(TRIAL.problem), reason=TRIAL.problem or "-")
user_namespaces = pytest.mark.parametrize(
    "user_namespace", [False, True] if os.geteuid() == 0 else [True]
)


async def free_subnet() -> IPv4Network:
    return choose_subnet(WORKLOADS, await used_networks(ENVIRON), preference=os.getpid())


@asynccontextmanager
async def mesh(
    directory: Path,
    user_namespace: bool,
    subnet: IPv4Network | None = None,
    inbound: Sequence[tuple[socket.socket, Address]] = (),
) -> AsyncIterator[MeshNetwork]:
    async with open_network(
        subnet=subnet or await free_subnet(),
        user_namespace=user_namespace,
        directory=directory,
        environ=ENVIRON,
        log=directory / "network.log",
        mesh_hash=mesh_hash(str(directory)),
        inbound=inbound,
        outside=Outside(),
    ) as network:
        yield network


async def in_workload(network: MeshNetwork, number: int, *command: str) -> str:
    enter = enter_workload(network, numbered(network.subnet, number))
    return await process.run((*enter, *command), env=ENVIRON)


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    writer.close()


def reading(host: str, port: int) -> tuple[str, ...]:
    """A program that prints what it receives from there."""
    program = f"import socket; print(socket.create_connection(({host!r}, {port}), 9).recv(99))"
    return sys.executable, "-c", program


# Linux remembers the hardware address of a neighbour for 15 seconds at least.
_SOONER_THAN_NEIGHBOURS_ARE_FORGOTTEN = 13

GREETING_SERVER = (
    "import socket; s = socket.create_server(('', 80)); s.accept()[0].sendall(b'hello')"
)


@needs_namespaces
@user_namespaces
def test_a_workload_reaches_the_machine_outside(tmp_path: Path, user_namespace: bool) -> None:
    async def scenario() -> None:
        outside = await asyncio.start_server(greet, "127.0.0.1", 0)
        port = outside.sockets[0].getsockname()[1]
        async with outside, mesh(tmp_path, user_namespace) as network:
            await add_workload(network, numbered(network.subnet, 10))
            said = await in_workload(network, 10, *reading(network.bridge, port))
            assert said.strip() == "b'hello'"

    asyncio.run(scenario())


@needs_namespaces
@user_namespaces
def test_workloads_reach_each_other(tmp_path: Path, user_namespace: bool) -> None:
    async def scenario() -> None:
        async with mesh(tmp_path, user_namespace) as network:
            server, client = (numbered(network.subnet, number) for number in (10, 11))
            await add_workload(network, server)
            await add_workload(network, client)
            serving = await process.start(
                (sys.executable, "-c", GREETING_SERVER),
                enter=enter_workload(network, server),
                env=ENVIRON,
                log=tmp_path / "server.log",
            )
            assert await until_greeted(network, 11, server) == "b'hello'"
            await process.stop(serving, seconds=1)

    asyncio.run(scenario())


@needs_namespaces
@user_namespaces
def test_a_workload_with_an_address_of_another_before_it_is_found_at_once(
    tmp_path: Path, user_namespace: bool
) -> None:
    async def scenario() -> None:
        async with mesh(tmp_path, user_namespace) as network:
            server, client = (numbered(network.subnet, number) for number in (10, 11))
            await add_workload(network, client)
            for _ in range(2):
                await add_workload(network, server)
                serving = await process.start(
                    (sys.executable, "-c", GREETING_SERVER),
                    enter=enter_workload(network, server),
                    env=ENVIRON,
                    log=tmp_path / "server.log",
                )
                async with asyncio.timeout(_SOONER_THAN_NEIGHBOURS_ARE_FORGOTTEN):
                    assert await until_greeted(network, 11, server) == "b'hello'"
                await process.stop(serving, seconds=1)
                await remove_workload(network, server)

    asyncio.run(scenario())


async def until_greeted(network: MeshNetwork, number: int, server: str) -> str:
    while True:
        with suppress(CommandFailed):  # it does not listen yet
            return (await in_workload(network, number, *reading(server, 80))).strip()


@needs_namespaces
@user_namespaces
def test_connections_from_outside_reach_a_workload(tmp_path: Path, user_namespace: bool) -> None:
    async def scenario() -> None:
        subnet = await free_subnet()
        listener = socket.create_server(("127.0.0.1", 0))
        server = numbered(subnet, 10)
        with listener:
            async with mesh(
                tmp_path, user_namespace, subnet, [(listener, (server, 80))]
            ) as network:
                await add_workload(network, server)
                serving = await process.start(
                    (sys.executable, "-c", GREETING_SERVER),
                    enter=enter_workload(network, server),
                    env=ENVIRON,
                    log=tmp_path / "server.log",
                )
                assert await received(listener.getsockname()) == b"hello"
                await process.stop(serving, seconds=1)

    asyncio.run(scenario())


async def received(address: Address) -> bytes:
    """What a client receives there, as soon as somebody answers."""
    while True:
        reader, writer = await asyncio.open_connection(*address)
        with closing(writer), suppress(ConnectionError):
            if data := await reader.read():
                return data


@needs_namespaces
@user_namespaces
def test_nothing_is_left_behind(tmp_path: Path, user_namespace: bool) -> None:
    name = cable(mesh_hash(str(tmp_path)))

    async def interfaces() -> str:
        return await process.run(("ip", "-br", "link"), env=ENVIRON)

    async def scenario() -> None:
        async with mesh(tmp_path, user_namespace) as network:
            await add_workload(network, numbered(network.subnet, 10))
            assert (name in await interfaces()) is not user_namespace
            await remove_workload(network, numbered(network.subnet, 10))
        assert name not in await interfaces()
        assert list((tmp_path / "networks").iterdir()) == []

    asyncio.run(scenario())
