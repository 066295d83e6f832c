"""Services' virtual addresses for traffic that no proxy takes: what kube-proxy is on Kubernetes.

Each workload's own namespace translates the address, so that the answers find their way back and
the service sees who calls. The machine's own firewall has no part in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import NamedTuple

from clew.api.answers import ApiError, Unreachable, WatchEnded
from clew.api.async_client import AsyncClient
from clew.api.service_addresses import ServiceAddresses, VirtualPort
from clew.ca.private_file import write_private
from clew.local import process
from clew.local.network import MeshNetwork, enter_mesh, namespace_files, rules_file
from clew.local.process import CommandFailed
from clew.local.relay import Address
from clew.model.addresses import is_ip

# Of what changes fast, such as a mesh that starts, only every so often the latest.
_PAUSE_SECONDS = 0.1
_RETRY_SECONDS = 0.2
_TABLE = "ip clew-services"

# One that is made just now takes the file itself, old or new; whoever takes the old one has done
# so before the file is replaced, and is given the difference after that. The check is a trial.
_INSTALL = """
nft --check --file "$RULES.new"
flock "$FILES" mv "$RULES.new" "$RULES.nft"
for file in "$FILES"/*; do
    nsenter --net="$file" sh -c 'nft --file "$RULES.change" || nft --file "$RULES.nft"' 2>&- || true
done
"""


class Port(NamedTuple):
    """A port of a virtual address."""

    protocol: str  # tcp or udp
    address: str
    number: int

    @property
    def chain(self) -> str:
        return f"{self.protocol}-{self.address}-{self.number}"


class Rules(NamedTuple):
    """``ports``: what is served, and where. At other ports of ``addresses`` there is nothing."""

    ports: Mapping[Port, tuple[Address, ...]] = {}
    addresses: frozenset[str] = frozenset()


def rules_of(services: Iterable[ServiceAddresses]) -> Rules:
    """Return what becomes of connections to virtual addresses whose endpoints have addresses."""
    inside = [(a, ports) for a, ports in _virtual(services) if _are_addresses(ports)]
    return Rules(
        ports={
            Port("udp" if port.udp else "tcp", address, port.number): reached
            for address, ports in inside
            for port in ports
            if (reached := tuple(e for e in port.endpoints if _is_ipv4(e[0])))
        },
        addresses=frozenset(address for address, _ in inside),
    )


def ruleset(rules: Rules) -> str:
    """Return the rules for nftables: a connection to a virtual address goes to one of its
    endpoints, each time to any of them; it is refused where nothing is served.

    All of it is one transaction, and established connections go on as they are.

    Source: kube-proxy's mode nftables. Capture's own rules come before these.
    """
    # Linux forgets what it translated where no rule asks for the state of connections any more.
    return f"""\
table {_TABLE} {{}}
delete table {_TABLE}
table {_TABLE} {{
\tmap ports {{
\t\ttype inet_proto . ipv4_addr . inet_service : verdict
\t}}
\tset addresses {{
\t\ttype ipv4_addr
\t}}
\tchain output {{
\t\ttype nat hook output priority -90; policy accept;
\t\tmeta l4proto . ip daddr . th dport vmap @ports
\t}}
\tchain refuse {{
\t\ttype filter hook output priority 0; policy accept;
\t\tct state established accept
\t\tip daddr @addresses meta l4proto tcp reject with tcp reset
\t\tip daddr @addresses meta l4proto udp reject
\t}}
}}
{difference(Rules(), rules)}"""


def difference(before: Rules, after: Rules) -> str:
    """Return the transaction that makes the rules ``after`` of those ``before``."""
    gone = [port for port in before.ports if port not in after.ports]
    come = [port for port in after.ports if port not in before.ports]
    lines = [_elements("delete", "ports", map(_verdict, gone))]
    lines += [f"flush chain {_TABLE} {p.chain}\ndelete chain {_TABLE} {p.chain}\n" for p in gone]
    for port, endpoints in after.ports.items():
        if before.ports.get(port) != endpoints:
            lines.append(f"add chain {_TABLE} {port.chain}\nflush chain {_TABLE} {port.chain}\n")
            lines.append(f"add rule {_TABLE} {port.chain} {_translation(port, endpoints)}\n")
    lines.append(_elements("add", "ports", map(_verdict, come)))
    lines.append(_elements("delete", "addresses", before.addresses - after.addresses))
    lines.append(_elements("add", "addresses", after.addresses - before.addresses))
    return "".join(lines)


def _translation(port: Port, endpoints: tuple[Address, ...]) -> str:
    numbered = ", ".join(f"{n} : {host} . {number}" for n, (host, number) in enumerate(endpoints))
    choice = f"numgen random mod {len(endpoints)} map {{ {numbered} }}"
    return f"meta l4proto {port.protocol} dnat ip to {choice}"


def _verdict(port: Port) -> str:
    return f"{port.protocol} . {port.address} . {port.number} : goto {port.chain}"


def _elements(verb: str, name: str, elements: Iterable[str]) -> str:
    text = ", ".join(sorted(elements))
    return f"{verb} element {_TABLE} {name} {{ {text} }}\n" if text else ""


def outside(services: Iterable[ServiceAddresses]) -> dict[Address, tuple[Address, ...]]:
    """Return where connections to virtual addresses go whose endpoints are host names.

    They leave the mesh, so the relay to the world outside finds out which addresses these are.
    """
    return {
        (address, port.number): port.endpoints
        for address, ports in _virtual(services)
        if not _are_addresses(ports)
        for port in ports
        if port.endpoints
    }


def _virtual(services: Iterable[ServiceAddresses]) -> Iterator[tuple[str, list[VirtualPort]]]:
    """Yield virtual addresses with their ports, each once, though two services may claim it."""
    merged: dict[str, dict[tuple[int, bool], VirtualPort]] = {}
    for service in services:
        for address in filter(_is_ipv4, service.virtual):
            ports = merged.setdefault(address, {})
            for port in service.ports:
                ports.setdefault((port.number, port.udp), port)
    for address, known in merged.items():
        yield address, list(known.values())


def _are_addresses(ports: Iterable[VirtualPort]) -> bool:
    return all(is_ip(host) for port in ports for host, _ in port.endpoints)


def _is_ipv4(address: str) -> bool:
    return is_ip(address) and ip_address(address).version == 4


class VirtualAddresses:
    """What is known of them, for everybody in this mesh. ``report`` is told what went wrong."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._say = report
        self._services: Mapping[str, ServiceAddresses] = {}
        self._outside: Mapping[Address, tuple[Address, ...]] = {}
        self._changed = asyncio.Event()

    def destination(self, address: Address) -> Address:
        """Return where a connection to an address that is not in the mesh is to go."""
        return random.choice(self._outside.get(address, (address,)))

    async def run(self, network: MeshNetwork, client: AsyncClient) -> None:
        """Keep the rules of all workloads as the services are, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(client))
            tasks.create_task(self._install_for_ever(network))

    async def _follow(self, client: AsyncClient) -> None:
        while True:
            with contextlib.suppress(Unreachable, WatchEnded, ApiError):
                async for self._services in client.service_addresses():
                    self._changed.set()
            await asyncio.sleep(_RETRY_SECONDS)  # what is known stays while it is away

    async def _install_for_ever(self, network: MeshNetwork) -> None:
        installed = Rules()
        while True:
            await self._changed.wait()
            self._changed.clear()
            services = [service for _, service in sorted(self._services.items())]
            self._outside = outside(services)
            rules = rules_of(services)
            if rules != installed:
                await self._install(network, installed, rules)
                installed = rules
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _install(self, network: MeshNetwork, before: Rules, after: Rules) -> None:
        try:
            await install(network, before, after)
        except CommandFailed as error:
            said = str(error).rpartition("\n")[2]
            self._say(f"virtual addresses stay as they were: {said}")


async def install(network: MeshNetwork, before: Rules, after: Rules) -> None:
    """Let all workloads, and those that come later, have other rules. Raises: CommandFailed."""
    file = rules_file(network)
    write_private(file.with_suffix(".new"), ruleset(after).encode())
    write_private(file.with_suffix(".change"), difference(before, after).encode())
    variables = {"RULES": str(file.with_suffix("")), "FILES": str(namespace_files(network))}
    env = {**network.environ, **variables}
    await process.run((*enter_mesh(network), "sh", "-ec", _INSTALL), env=env)
