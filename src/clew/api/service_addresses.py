"""How services are reached without a proxy, as the API tells it."""

from __future__ import annotations

from clew.api.messages import Message


class VirtualPort(Message, frozen=True, kw_only=True):
    """``endpoints``: where it is served now, each an IP or a host name, and a port."""

    number: int
    udp: bool = False
    endpoints: tuple[tuple[str, int], ...] = ()


class ServiceAddresses(Message, frozen=True, kw_only=True):
    """How a service is reached without a proxy.

    ``names``: host names with their addresses, or with the one host that a name stands for.
    ``virtual``: addresses that nobody has; connections to ``ports`` there are for the endpoints.
    """

    names: dict[str, tuple[str, ...]] = {}
    virtual: tuple[str, ...] = ()
    ports: tuple[VirtualPort, ...] = ()


class ServiceChanges(Message, frozen=True, kw_only=True):
    """One line of the stream of services, by ``namespace/host``; null: it is gone.

    The first line has all of them.
    """

    services: dict[str, ServiceAddresses | None] = {}
