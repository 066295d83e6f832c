"""The rules, and what they do to real connections between real namespaces."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest

from clew.api.service_addresses import ServiceAddresses, VirtualPort
from clew.local import process
from clew.local.addresses import numbered
from clew.local.network import MeshNetwork, add_workload, enter_workload
from clew.local.process import CommandFailed
from clew.local.relay import Address
from clew.local.virtual_addresses import (
    Rules,
    VirtualAddresses,
    difference,
    install,
    outside,
    rules_of,
    ruleset,
)
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


def text(*services: ServiceAddresses) -> str:
    return ruleset(rules_of(services))


def test_a_connection_goes_to_any_endpoint_of_its_port() -> None:
    rules = text(web(("10.200.0.1", 8080), ("10.200.0.2", 8081)))
    choice = "numgen random mod 2 map { 0 : 10.200.0.1 . 8080, 1 : 10.200.0.2 . 8081 }"
    assert f"meta l4proto tcp dnat ip to {choice}" in rules
    assert f"ports {{ tcp . {WEB} . 80 : goto tcp-{WEB}-80 }}" in rules


def test_an_address_without_endpoints_is_known_in_order_to_refuse() -> None:
    rules = text(web())
    assert "dnat" not in rules
    assert f"addresses {{ {WEB} }}" in rules


def test_datagrams_are_told_from_connections() -> None:
    rules = text(web(("10.200.0.1", 5353), udp=True))
    assert f"udp . {WEB} . 80 : goto udp-{WEB}-80" in rules
    assert "meta l4proto udp dnat" in rules


def test_of_two_services_with_one_address_the_first_has_it() -> None:
    rules = rules_of([web(("10.200.0.1", 1)), web(("10.200.0.2", 2))])
    assert list(rules.ports.values()) == [(("10.200.0.1", 1),)]


def test_addresses_that_workloads_cannot_reach_are_left_out() -> None:
    both = web(("10.200.0.1", 1), ("2001:db8::1", 1))
    assert rules_of([web(("10.200.0.1", 1), address="2001:2::1"), both]) == rules_of(
        [web(("10.200.0.1", 1))]
    )


def test_what_is_served_at_a_host_name_is_for_the_world_outside() -> None:
    served = web(("example.org", 443))
    assert rules_of([served]) == Rules()
    assert outside([served, web(("10.200.0.1", 1), address="10.208.0.2")]) == {
        (WEB, 80): (("example.org", 443),)
    }


def test_a_change_touches_only_what_differs() -> None:
    other = web(("10.200.0.9", 1), address="10.208.0.9")
    before = rules_of([web(("10.200.0.1", 1)), other])
    after = rules_of([web(("10.200.0.2", 1)), other])
    assert difference(before, after).splitlines() == [
        f"add chain ip clew-services tcp-{WEB}-80",
        f"flush chain ip clew-services tcp-{WEB}-80",
        f"add rule ip clew-services tcp-{WEB}-80 meta l4proto tcp dnat ip to "
        "numgen random mod 1 map { 0 : 10.200.0.2 . 1 }",
    ]
    assert difference(before, before) == ""


STATES: tuple[list[ServiceAddresses], ...] = (
    [web(("10.200.0.1", 1), ("10.200.0.2", 2)), web(address="10.208.0.2")],
    [web(("10.200.0.3", 1)), web(("10.200.0.1", 1), address="10.208.0.2", udp=True)],
    [web(), web(("10.200.0.1", 1), address="10.208.0.3")],
    [],
)


@needs_namespaces
def test_changes_one_after_another_make_what_is_made_at_once(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text(text(*STATES[0]))
    script = [f"nft --file {tmp_path}/rules"]
    states = [rules_of(services) for services in STATES]
    for number, (before, after) in enumerate(pairwise([*states, *states[:2]])):
        (tmp_path / f"change-{number}").write_text(difference(before, after))
        (tmp_path / f"all-{number}").write_text(ruleset(after))
        script.append(f"nft --file {tmp_path}/change-{number}; nft --stateless list ruleset")
        script.append(f"echo ==; nft --file {tmp_path}/all-{number}; nft list ruleset; echo ====")
    command = ["unshare", "--map-root-user", "--net", "sh", "-ec", "; ".join(script)]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=ENVIRON)
    steps = said.stdout.split("====\n")[:-1]
    assert len(steps) == 5
    for step in steps:
        changed, made = step.split("==\n")
        assert listed(changed) == listed(made)
        assert "chain refuse" in changed


def listed(rules: str) -> list[str]:
    """The parts of a listing in one order, and the elements of its sets too."""
    parts = rules.removesuffix("}\n").split("\n\n")
    return sorted(" ".join(sorted(part.replace(",", " ").split())) for part in parts)


SERVER = """
import socket, sys
listener = socket.create_server(("", 8080))
while True:
    connection, peer = listener.accept()
    connection.sendall(f"{sys.argv[1]} to {peer[0]}".encode())
    connection.close()
"""
# Speaks when its input has ended, over a connection that it has made before.
LATE_CLIENT = f"""
import socket, sys
connection = socket.create_connection(({WEB!r}, 80))
print("connected", flush=True)
sys.stdin.read()
connection.sendall(b"late")
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

            await install(network, Rules(), both := rules_of([web(one, two)]))
            answers = {await heard(network, 10, WEB, 80) for _ in range(20)}
            assert answers == {f"b'{n} to {client}'" for n in (11, 12)}

            await install(network, both, single := rules_of([web(two)]))
            answers = {await heard(network, 10, WEB, 80) for _ in range(5)}
            assert answers == {f"b'12 to {client}'"}
            # A workload that comes later, and one that asks itself.
            await add_workload(network, numbered(network.subnet, 13))
            assert await heard(network, 13, WEB, 80) == f"b'12 to {numbered(network.subnet, 13)}'"
            assert (await heard(network, 12, WEB, 80)).startswith("b'12 to")

            await install(network, single, rules_of([web()]))
            with pytest.raises(CommandFailed, match="ConnectionRefusedError"):
                await in_workload(network, 10, *reading(WEB, 80))
            with pytest.raises(CommandFailed):
                await install(network, Rules(), Rules(addresses=frozenset({"no address"})))

    asyncio.run(scenario())


def test_the_relay_is_told_where_an_address_leads_outside() -> None:
    addresses = VirtualAddresses(report=print)
    assert addresses.destination(("192.0.2.1", 443)) == ("192.0.2.1", 443)


@needs_namespaces
@user_namespaces
def test_connections_outlive_changes(tmp_path: Path, user_namespace: bool) -> None:
    async def scenario() -> None:
        async with mesh(tmp_path, user_namespace) as network:
            here, there = (numbered(network.subnet, number) for number in (10, 11))
            await add_workload(network, here)
            await add_workload(network, there)
            server = (
                "import socket; s = socket.create_server(('', 80)); print(s.accept()[0].recv(9))"
            )
            listening = asyncio.ensure_future(
                in_workload(network, 11, sys.executable, "-c", server)
            )
            before = rules_of([web((there, 80))])
            await install(network, Rules(), before)
            client = await connected(network, here)
            await install(network, before, Rules())
            await client.communicate(b"")
            assert await listening == "b'late'\n"

    asyncio.run(scenario())


async def connected(network: MeshNetwork, address: str) -> Process:
    """A client that has a connection, as soon as somebody listens."""
    while True:
        command = (*enter_workload(network, address), sys.executable, "-c", LATE_CLIENT)
        client = await asyncio.create_subprocess_exec(
            *command, env=ENVIRON, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        assert client.stdout is not None
        if await client.stdout.readline():
            return client
        await client.wait()
