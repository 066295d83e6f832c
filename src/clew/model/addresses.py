"""IP addresses as text."""

from __future__ import annotations

import ipaddress


def is_ip(text: str) -> bool:
    """Whether a text is an address of either version, rather than a name, a range or a path."""
    if not text[:1].isdigit() and ":" not in text:
        return False  # nearly all hosts, without the cost of an exception
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
