"""The rules, and what they do to real connections between real namespaces."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from clew.api.messages import ServiceAddresses, VirtualPort
from clew.local import process
from clew.local.addresses import numbered
from clew.local.network import MeshNetwork, add_workload, enter_workload
from clew.local.process import CommandFailed
from clew.local.relay import Address
from clew.local.virtual_addresses import VirtualAddresses, install, outside, ruleset
from tests.local.test_network import (
    ENVIRON,
    in_workload,
    mesh,
    needs_namespaces,
    reading,
    user_namespaces,
)

WEB = "10.208.0.1"


def web(*endpoints: Address, address: str = WEB, udp: bool = False) -> ServiceAddresses:
    port = VirtualPort(number=80, udp=udp, endpoints=endpoints)
    return ServiceAddresses(virtual=(address,), ports=(port,))


def test_a_connection_goes_to_any_endpoint_of_its_port() -> None:
    rules = ruleset([web(("10.200.0.1", 8080), ("10.200.0.2", 8081))])
    choice = "numgen random mod 2 map { 0 : 10.200.0.1 . 8080, 1 : 10.200.0.2 . 8081 }"
    assert f"meta l4proto tcp dnat ip to {choice}" in rules
    assert f"elements = {{ tcp . {WEB} . 80 : goto tcp-{WEB}-80 }}" in rules


def test_an_address_without_endpoints_is_known_in_order_to_refuse() -> None:
    rules = ruleset([web()])
    assert "dnat" not in rules
    assert f"elements = {{ {WEB} }}" in rules


def test_datagrams_are_told_from_connections() -> None:
    rules = ruleset([web(("10.200.0.1", 5353), udp=True)])
    assert f"udp . {WEB} . 80 : goto udp-{WEB}-80" in rules
    assert "meta l4proto udp dnat" in rules


def test_of_two_services_with_one_address_the_first_has_it() -> None:
    rules = ruleset([web(("10.200.0.1", 1)), web(("10.200.0.2", 2))])
    assert rules.count("dnat") == 1
    assert "10.200.0.1 . 1" in rules


def test_addresses_that_workloads_cannot_reach_are_left_out() -> None:
    rules = ruleset([web(("10.200.0.1", 1), address="2001:2::1")])
    assert "2001:2::1" not in rules
    assert ruleset([]).count("elements") == 0


def test_what_is_served_at_a_host_name_is_for_the_world_outside() -> None:
    served = web(("example.org", 443))
    assert WEB not in ruleset([served])
    assert outside([served, web(("10.200.0.1", 1), address="10.208.0.2")]) == {
        (WEB, 80): (("example.org", 443),)
    }


@pytest.mark.parametrize("udp", [False, True])
def test_nft_takes_the_rules(udp: bool) -> None:
    services = [web(("10.200.0.1", 1), ("10.200.0.2", 2), udp=udp), web(address="10.208.0.2")]
    for rules in (ruleset(services), ruleset([])):
        command = ["unshare", "--map-root-user", "--net", "nft", "--check", "--file", "-"]
        subprocess.run(command, input=rules, text=True, check=True)


SERVER = """
import socket, sys
listener = socket.create_server(("", 8080))
while True:
    connection, peer = listener.accept()
    connection.sendall(f"{sys.argv[1]} to {peer[0]}".encode())
    connection.close()
"""


@asynccontextmanager
async def serving(network: MeshNetwork, directory: Path, number: int) -> AsyncIterator[Address]:
    """A workload that says its number, and who asks."""
    address = numbered(network.subnet, number)
    await add_workload(network, address)
    server = await process.start(
        (sys.executable, "-c", SERVER, str(number)),
        enter=enter_workload(network, address),
        env=ENVIRON,
        log=directory / "server.log",
    )
    try:
        await heard(network, number, address, 8080)
        yield address, 8080
    finally:
        await process.stop(server, seconds=1)


async def heard(network: MeshNetwork, number: int, host: str, port: int) -> str:
    """What a workload with this number hears there, as soon as somebody answers."""
    while True:
        with suppress(CommandFailed):
            return (await in_workload(network, number, *reading(host, port))).strip()


@needs_namespaces
@user_namespaces
def test_services_are_reached_at_their_virtual_addresses(
    tmp_path: Path, user_namespace: bool
) -> None:
    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            network = await stack.enter_async_context(mesh(tmp_path, user_namespace))
            client = numbered(network.subnet, 10)
            await add_workload(network, client)
            one, two = [
                await stack.enter_async_context(serving(network, tmp_path, n)) for n in (11, 12)
            ]

            await install(network, ruleset([web(one, two)]))
            answers = {await heard(network, 10, WEB, 80) for _ in range(20)}
            assert answers == {f"b'{n} to {client}'" for n in (11, 12)}

            await install(network, ruleset([web(two)]))
            answers = {await heard(network, 10, WEB, 80) for _ in range(5)}
            assert answers == {f"b'12 to {client}'"}
            # A workload that comes later, and one that asks itself.
            await add_workload(network, numbered(network.subnet, 13))
            assert await heard(network, 13, WEB, 80) == f"b'12 to {numbered(network.subnet, 13)}'"
            assert (await heard(network, 12, WEB, 80)).startswith("b'12 to")

            await install(network, ruleset([web()]))
            with pytest.raises(CommandFailed, match="ConnectionRefusedError"):
                await in_workload(network, 10, *reading(WEB, 80))
            with pytest.raises(CommandFailed):
                await install(network, "no rules")

    asyncio.run(scenario())


def test_the_relay_is_told_where_an_address_leads_outside() -> None:
    addresses = VirtualAddresses(report=print)
    assert addresses.destination(("192.0.2.1", 443)) == ("192.0.2.1", 443)
