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

from clew.api.client import ApiError, AsyncClient, Unreachable, WatchEnded
from clew.api.messages import ServiceAddresses, VirtualPort
from clew.local import process
from clew.local.network import MeshNetwork, enter_mesh, namespace_files, rules_file
from clew.local.process import CommandFailed
from clew.local.relay import Address
from clew.model.addresses import is_ip

# Of what changes fast, such as a mesh that starts, only every so often the latest.
_PAUSE_SECONDS = 0.1
_RETRY_SECONDS = 0.2

# One that is made just now takes the file itself, old or new; whoever takes the old one has done
# so before the file is replaced, and is given the new one after that. The first line is a trial.
_INSTALL = """
cat > "$RULES.new"
nft --check --file "$RULES.new"
flock "$FILES" mv "$RULES.new" "$RULES"
for file in "$FILES"/*; do
    nsenter --net="$file" nft --file "$RULES" 2>/dev/null || true
done
"""


def ruleset(services: Iterable[ServiceAddresses]) -> str:
    """Return the nftables rules: a connection to a virtual address goes to one of its endpoints,
    each time to any of them; it is refused where nothing is served.

    All of it is one transaction, and established connections go on as they are.

    Source: kube-proxy's mode nftables. Capture's own rules come before these.
    """
    chains, verdicts, addresses = list[str](), list[str](), list[str]()
    for address, ports in _inside(services):
        addresses.append(address)
        for port in ports:
            protocol = "udp" if port.udp else "tcp"
            chain = f"{protocol}-{address}-{port.number}"
            if port.endpoints:
                chains.append(_chain(chain, protocol, port.endpoints))
                verdicts.append(f"{protocol} . {address} . {port.number} : goto {chain}")
    return f"""\
table ip clew-services {{}}
delete table ip clew-services
table ip clew-services {{
{"".join(chains)}\
\tmap ports {{
\t\ttype inet_proto . ipv4_addr . inet_service : verdict
{_elements(verdicts)}\
\t}}
\tset addresses {{
\t\ttype ipv4_addr
{_elements(addresses)}\
\t}}
\tchain output {{
\t\ttype nat hook output priority -90; policy accept;
\t\tmeta l4proto . ip daddr . th dport vmap @ports
\t}}
\tchain refuse {{
\t\ttype filter hook output priority 0; policy accept;
\t\tip daddr @addresses meta l4proto tcp reject with tcp reset
\t\tip daddr @addresses meta l4proto udp reject
\t}}
}}
"""


def _chain(name: str, protocol: str, endpoints: tuple[Address, ...]) -> str:
    numbered = ", ".join(f"{n} : {host} . {port}" for n, (host, port) in enumerate(endpoints))
    choice = f"numgen random mod {len(endpoints)} map {{ {numbered} }}"
    return f"\tchain {name} {{\n\t\tmeta l4proto {protocol} dnat ip to {choice}\n\t}}\n"


def _elements(elements: Iterable[str]) -> str:
    text = ", ".join(dict.fromkeys(elements))
    return f"\t\telements = {{ {text} }}\n" if text else ""


def outside(services: Iterable[ServiceAddresses]) -> dict[Address, tuple[Address, ...]]:
    """Return where connections to virtual addresses go whose endpoints are host names.

    They leave the mesh, so the relay to the world outside finds out which addresses these are.
    """
    return {
        (address, port.number): port.endpoints
        for address, ports in _virtual(services)
        for port in ports
        if not _are_addresses(port.endpoints)
    }


def _inside(services: Iterable[ServiceAddresses]) -> Iterator[tuple[str, list[VirtualPort]]]:
    for address, ports in _virtual(services):
        if all(_are_addresses(port.endpoints) for port in ports):
            yield address, ports


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


def _are_addresses(endpoints: Iterable[Address]) -> bool:
    return all(is_ip(host) for host, _ in endpoints)


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
        installed = ""
        while True:
            await self._changed.wait()
            self._changed.clear()
            services = [service for _, service in sorted(self._services.items())]
            self._outside = outside(services)
            rules = ruleset(services)
            if rules != installed:
                installed = rules
                await self._install(network, rules)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _install(self, network: MeshNetwork, rules: str) -> None:
        try:
            await install(network, rules)
        except CommandFailed as error:
            said = str(error).rpartition("\n")[2]
            self._say(f"virtual addresses stay as they were: {said}")


async def install(network: MeshNetwork, rules: str) -> None:
    """Let all workloads, and those that come later, have these rules. Raises: CommandFailed."""
    variables = {"RULES": str(rules_file(network)), "FILES": str(namespace_files(network))}
    env = {**network.environ, **variables}
    await process.run((*enter_mesh(network), "sh", "-ec", _INSTALL), env=env, text=rules)
