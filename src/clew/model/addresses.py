"""IP addresses as text."""

from __future__ import annotations

import ipaddress

# Where a machine or a cloud tells a host about itself, its credentials included.
_LINK_LOCAL = tuple(
    ipaddress.ip_network(each)
    for each in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::254/128",  # AWS
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure
        "192.0.0.192/32",  # Oracle
    )
)


def is_ip(text: str) -> bool:
    """Whether a text is an address of either version, rather than a name, a range or a path."""
    if not text[:1].isdigit() and ":" not in text:
        return False  # nearly all hosts, without the cost of an exception
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_link_local(text: str) -> bool:
    """Whether a text is an address of the link, or one where clouds serve metadata."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(mapped in network for network in _LINK_LOCAL)
