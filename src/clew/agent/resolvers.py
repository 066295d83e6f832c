"""The resolvers that this machine's programs ask."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

_FILE = Path("/etc/resolv.conf")


def machine_resolvers() -> tuple[str, ...]:
    try:
        return resolvers_of(_FILE.read_text())
    except OSError:
        return resolvers_of("")


def resolvers_of(resolv_conf: str) -> tuple[str, ...]:
    """Return the name servers of a resolv.conf. Source: resolv.conf(5)."""
    lines = (line.split() for line in resolv_conf.splitlines())
    found = (words[1] for words in lines if len(words) > 1 and words[0] == "nameserver")
    return tuple(found) or ("127.0.0.1",)


def on_loopback(resolvers: Iterable[str]) -> tuple[str, ...]:
    """Return those that a program reaches without leaving its machine."""
    return tuple(each for each in resolvers if ip_address(each.partition("%")[0]).is_loopback)
