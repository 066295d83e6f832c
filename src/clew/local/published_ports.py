"""The ports of this machine at which a mesh's ingress gateway answers."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clew.local.capture_choice import Choice
from clew.local.options import DEFAULT_PORT
from clew.local.ports import Ports, PortTaken
from clew.local.state import STATE, is_locked, read_state


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPorts:
    """The ports of 127.0.0.1 at which the ingress gateway answers."""

    http: int
    https: int
    tcp: int


def publish(ports: Ports, wanted: int | None) -> PublishedPorts:
    """Take the port that is wanted, or the usual or the next free one. Raises: PortTaken."""
    try:
        http = ports.take_near(DEFAULT_PORT) if wanted is None else ports.take_exactly(wanted)
    except PortTaken as error:
        raise PortTaken(
            f"{error}. Nothing was started.\n  hint: choose another with --port, or leave --port "
            f"out: then it is {DEFAULT_PORT} or the next free one"
        ) from None
    return PublishedPorts(http=http, https=ports.take_near(8443), tcp=ports.take_near(31400))


def ports_of_others(directory: Path) -> frozenset[int]:
    """The ports of this user's other meshes, whose gateways may not listen there yet."""
    others = (file.parent for file in directory.parent.glob(f"*/{STATE}"))
    states = (read_state(other) for other in others if other != directory and is_locked(other))
    return frozenset(p for s in states if s for p in (s.http_port, s.https_port, s.tcp_port))


@contextlib.contextmanager
def listeners(choice: Choice, ports: PublishedPorts) -> Iterator[list[socket.socket]]:
    """Sockets for a gateway that cannot listen on this machine's network itself."""
    with contextlib.ExitStack() as stack:
        numbers = (ports.http, ports.https, ports.tcp) if choice.user_namespace else ()
        yield [
            stack.enter_context(socket.create_server(("127.0.0.1", number), backlog=1024))
            for number in numbers
        ]
