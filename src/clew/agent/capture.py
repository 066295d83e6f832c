"""Traffic capture in the workload's own network namespace: nftables sends it to the proxy."""

from __future__ import annotations

import asyncio
import shutil
from asyncio.subprocess import PIPE
from collections.abc import Collection, Iterable
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network

from clew.agent.spec import AgentSpec
from clew.model import names
from clew.model.interception import Interception

# Istio knows its proxy by user id 1337. A user namespace may have only one user, so clew's proxy
# and agent mark their packets with the same number instead.
PROXY_MARK = 1337
# Where Envoy connects from when it hands a request to the application.
INBOUND_SOURCE = "127.0.0.6"
# Ports on which the proxy itself is spoken to.
_PROXY_PORTS = (names.INBOUND_PORT, 15008)


class CaptureFailed(Exception):
    """The rules could not be installed; the application must not start without them."""


def ruleset(spec: AgentSpec, local_resolvers: Collection[str] = ()) -> str:
    """Return the nftables rules: outbound TCP to 15001, inbound to 15006, DNS to the agent.

    A DNS server on the loopback is the program's own affair, unless it is one of those that the
    machine's programs ask: ``local_resolvers``. Without a proxy there is only DNS to capture.

    Source: Istio's iptables rules, with a packet mark in place of the proxy's user.
    """
    if not spec.proxy:
        return _ruleset_of_names(spec.dns_port, local_resolvers)
    own_ports = {
        *_PROXY_PORTS,
        spec.readiness_port,
        spec.prometheus_port,
        spec.status_port,
    } - {0}
    return f"""\
table inet clew {{
\tchain output {{
\t\ttype nat hook output priority -100; policy accept;
{_lines(_own_address_rules())}
\t\tmeta mark {PROXY_MARK} return
{_lines(_dns_rules(spec.dns_port, local_resolvers))}
\t\tip daddr 127.0.0.0/8 return
\t\tip6 daddr ::1 return
{_lines(_outbound_rules(spec.interception))}
\t}}
\tchain prerouting {{
\t\ttype nat hook prerouting priority -100; policy accept;
\t\ttcp dport {_set(sorted(own_ports))} return
{_lines(_inbound_rules(spec.interception))}
\t}}
}}
""".replace("\n\n", "\n")  # no DNS: no empty line


def _ruleset_of_names(port: int, local_resolvers: Collection[str]) -> str:
    return f"""\
table inet clew {{
\tchain output {{
\t\ttype nat hook output priority -100; policy accept;
\t\tmeta mark {PROXY_MARK} return
{_lines(_dns_rules(port, local_resolvers))}
\t}}
}}
"""


def _own_address_rules() -> Iterable[str]:
    """When the proxy calls its own workload by its service, that is inbound traffic as well."""
    yield (
        f'oifname "lo" ip saddr != {INBOUND_SOURCE} ip daddr != 127.0.0.0/8 '
        f"meta mark {PROXY_MARK} tcp dport != 15008 redirect to :{names.INBOUND_PORT}"
    )
    yield (
        f'oifname "lo" ip6 saddr != {{ ::1, ::6 }} ip6 daddr != ::1 '
        f"meta mark {PROXY_MARK} tcp dport != 15008 redirect to :{names.INBOUND_PORT}"
    )


def _outbound_rules(taken: Interception) -> Iterable[str]:
    """Source: the order of istio-iptables: what is excluded, then ports, then networks."""
    if taken.excluded_interfaces:
        yield f"oifname {_set(taken.excluded_interfaces)} return"
    if taken.excluded_outbound_ports:
        yield f"tcp dport {_set(taken.excluded_outbound_ports)} return"
    for family, ranges in _by_version(taken.excluded_outbound_ranges):
        yield f"{family} daddr {_set(ranges)} return"
    to_proxy = f"redirect to :{names.OUTBOUND_PORT}"
    if taken.outbound_ranges is None:
        yield f"meta l4proto tcp {to_proxy}"
        return
    if taken.outbound_ports:
        yield f"tcp dport {_set(taken.outbound_ports)} {to_proxy}"
    for family, ranges in _by_version(taken.outbound_ranges):
        yield f"meta l4proto tcp {family} daddr {_set(ranges)} {to_proxy}"


def _inbound_rules(taken: Interception) -> Iterable[str]:
    to_proxy = f"redirect to :{names.INBOUND_PORT}"
    if taken.excluded_interfaces:
        yield f"iifname {_set(taken.excluded_interfaces)} return"
    if taken.inbound_ports is None:
        if taken.excluded_inbound_ports:
            yield f"tcp dport {_set(taken.excluded_inbound_ports)} return"
        yield f"meta l4proto tcp {to_proxy}"
    elif taken.inbound_ports:
        yield f"tcp dport {_set(taken.inbound_ports)} {to_proxy}"


def _by_version(ranges: Iterable[str]) -> Iterable[tuple[str, Iterable[object]]]:
    """Networks by version of IP. nftables takes none that lie within another."""
    every = [ip_network(each) for each in ranges]
    if four := [each for each in every if isinstance(each, IPv4Network)]:
        yield "ip", collapse_addresses(four)
    if six := [each for each in every if isinstance(each, IPv6Network)]:
        yield "ip6", collapse_addresses(six)


def _set(members: Iterable[object]) -> str:
    return f"{{ {', '.join(dict.fromkeys(map(str, members)))} }}"


def _dns_rules(port: int, local_resolvers: Collection[str]) -> Iterable[str]:
    if port:
        for family, loopback, version in (("ip", "127.0.0.0/8", 4), ("ip6", "::1", 6)):
            ours = [each for each in local_resolvers if ip_address(each).version == version]
            asked = f" {family} daddr != {{ {', '.join(ours)} }}" if ours else ""
            yield f"{family} daddr {loopback}{asked} return"
        yield f"udp dport 53 redirect to :{port}"
        yield f"tcp dport 53 redirect to :{port}"


def _lines(rules: Iterable[str]) -> str:
    return "\n".join(f"\t\t{rule}" for rule in rules)


async def install(rules: str) -> None:
    """Install the rules in the network namespace that this process is in.

    Nothing removes them: they end with the namespace.

    Raises:
        CaptureFailed: no nft program, or no privilege.
    """
    program = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin")
    if program is None:
        raise CaptureFailed(
            "traffic capture needs the program `nft`, which is not installed. Nothing was "
            "started. Install nftables (apt install nftables), or run without capture "
            "(--capture env)."
        )
    # Deleting needs the table to exist, hence declared first: installing twice gives the same.
    text = f"table inet clew {{}}\ndelete table inet clew\n{rules}"
    process = await asyncio.create_subprocess_exec(program, "-f", "-", stdin=PIPE, stderr=PIPE)
    _, errors = await process.communicate(text.encode())
    if process.returncode:
        raise CaptureFailed(
            f"nft refused the capture rules: {errors.decode().strip()}\nNothing was started. "
            "The agent needs CAP_NET_ADMIN in the workload's network namespace: run as root or "
            "in a user namespace of its own, or without capture (--capture env)."
        )
