"""Which traffic of a workload its proxy takes: annotations ``traffic.sidecar.istio.io/…``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_network
from typing import Any

from clew.model.base import OpenModel

PREFIX = "traffic.sidecar.istio.io/"
_ALL = "*"
_INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}")


class Interception(OpenModel, frozen=True, kw_only=True):
    """What is sent to the proxy. Networks are in CIDR form, of both versions of IP.

    ``outbound_ranges`` and ``inbound_ports``: None is everything, nothing is nothing. What is
    excluded, is so from everything only; ``outbound_ports`` are taken whatever the address.

    Source: istio annotations.yaml, and the order of the rules in ``istio-iptables``.
    """

    outbound_ranges: tuple[str, ...] | None = None
    outbound_ports: tuple[int, ...] = ()
    inbound_ports: tuple[int, ...] | None = None
    excluded_outbound_ranges: tuple[str, ...] = ()
    excluded_outbound_ports: tuple[int, ...] = ()
    excluded_inbound_ports: tuple[int, ...] = ()
    excluded_interfaces: tuple[str, ...] = ()


def read_interception(annotations: Mapping[str, str]) -> Interception:
    """The annotations of a pod, without those that make no sense."""
    fields: dict[str, Any] = {}
    for name, (field, read) in _READERS.items():
        text = annotations.get(PREFIX + name)
        if text is None:
            continue
        try:
            fields[field] = None if text.strip() == _ALL else _list(text, read)
        except ValueError:
            continue
        if fields[field] is None and field not in ("outbound_ranges", "inbound_ports"):
            del fields[field]
    return Interception(**fields)


def problems_of_interception(annotations: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the annotations that make no sense, and why."""
    for name, (_, read) in _READERS.items():
        text = annotations.get(PREFIX + name, _ALL)
        try:
            if text.strip() != _ALL:
                _list(text, read)
        except ValueError as error:
            yield PREFIX + name, str(error)


def _list(text: str, read: Callable[[str], Any]) -> tuple[Any, ...]:
    return tuple(read(word.strip()) for word in text.split(",") if word.strip())


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ValueError(f"{text!r} is no port (1 to 65535)")
    return int(text)


def _range(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        raise ValueError(f"{text!r} is no network such as 10.0.0.0/8") from None


def _interface(text: str) -> str:
    if not _INTERFACE.fullmatch(text):
        raise ValueError(f"{text!r} is no name of a network interface")
    return text


_READERS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "includeOutboundIPRanges": ("outbound_ranges", _range),
    "includeOutboundPorts": ("outbound_ports", _port),
    "includeInboundPorts": ("inbound_ports", _port),
    "excludeOutboundIPRanges": ("excluded_outbound_ranges", _range),
    "excludeOutboundPorts": ("excluded_outbound_ports", _port),
    "excludeInboundPorts": ("excluded_inbound_ports", _port),
    "excludeInterfaces": ("excluded_interfaces", _interface),
}
