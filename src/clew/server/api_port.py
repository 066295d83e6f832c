"""The admin API's port for other machines: what it is configured with, and what it needs."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from starlette.applications import Starlette

from clew.ca.authority import bundle
from clew.model import names
from clew.server.api_certificate import present, server_context
from clew.server.api_tcp import listen_on, serve_api_on_tcp
from clew.server.api_tokens import ApiTokens
from clew.server.identities import Identities
from clew.server.own_certificate import OwnCertificate


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPort:
    """``address``: ``host:port``, "": none. Without ``certificate`` and ``key``, files in PEM, the
    port has a certificate of the mesh. ``client_roots``: who may sign certificates of clients.
    """

    address: str = ""
    certificate: Path | None = None
    key: Path | None = None
    client_roots: Path | None = None

    @property
    def own_certificate(self) -> bool:
        return self.certificate is None


def api_roots(port: ApiPort, identities: Identities) -> str:
    """What clients verify the port by, "" if it has a certificate of others."""
    return bundle(identities.in_force().roots) if port.own_certificate else ""


@asynccontextmanager
async def serving_api_port(
    port: ApiPort,
    app: Starlette,
    tokens: ApiTokens,
    identities: Identities,
    now: Callable[[], datetime],
) -> AsyncIterator[None]:
    """Listen where the port says, if it says anything.

    Raises: OSError when the address or a file cannot be used; the text says which.
    """
    if not port.address:
        yield
        return
    try:
        listener = listen_on(port.address)
    except ValueError as error:
        raise OSError(f"the API's address: {error}") from None
    except OSError as error:
        raise OSError(f"cannot listen for the API on {port.address}: {error.strerror}") from error
    async with serve_api_on_tcp(app, listener, _context(port, identities, now), tokens):
        yield


def _context(port: ApiPort, identities: Identities, now: Callable[[], datetime]) -> ssl.SSLContext:
    try:
        context = server_context(port.client_roots)
        if port.certificate is not None:
            context.load_cert_chain(port.certificate, port.key)
            return context
    except (OSError, ssl.SSLError) as error:
        named = [str(f) for f in (port.certificate, port.key, port.client_roots) if f is not None]
        raise OSError(f"TLS of the API's port: {error} (of {', '.join(named)})") from error
    served = (names.CONTROL_PLANE_SERVER_NAME,)
    present(OwnCertificate(identities.in_force, identities.trust_domain, served, now), context)
    return context
