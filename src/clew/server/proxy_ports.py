"""Where proxies connect: sockets on this machine, and TLS ports for other hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from clew.api.location import CA_SOCKET, XDS_SOCKET, socket_path
from clew.server.ads import AdsServer, require_identity
from clew.server.csr import CertificateService
from clew.server.directory import Directory
from clew.server.identities import Identities
from clew.server.mtls import GRPC_OPTIONS, ServingCertificate, listen
from clew.server.registration import Registration

# How long streams may take to end when the control plane stops.
STOP_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RemotePorts:
    """``host:port`` for proxies of other hosts; "": none.

    ``xds``: configuration and renewals, with the certificate that a host has. ``join``: the first
    certificate, with a join token. Two ports, as one that asks for certificates lets nobody in
    who has none yet.
    """

    xds: str = ""
    join: str = ""


@asynccontextmanager
async def serving_proxies(
    state: Path,
    remote: RemotePorts,
    identities: Identities,
    directory: Directory,
    registration: Registration,
) -> AsyncIterator[tuple[grpc.aio.Server, ...]]:
    """Listen on xds.sock (mTLS) and ca.sock (the mesh's owner), and on the ports for others.

    Raises: OSError when an address cannot be bound.
    """
    certificate = ServingCertificate(identities.in_force, identities.trust_domain)
    domains, counters = identities.trust_domains, identities.counters
    ads = AdsServer(directory, require_identity(domains), registration, identities.trust)
    renewals = CertificateService(identities.in_force, domains, counters=counters)
    first = CertificateService(identities.in_force, domains, trust_claims=True, counters=counters)
    joining = CertificateService(
        identities.in_force, domains, tokens=identities.tokens, counters=counters
    )
    xds, signing, join = (grpc.aio.server(options=GRPC_OPTIONS) for _ in range(3))
    xds.add_generic_rpc_handlers((ads.handler(), renewals.handler()))
    signing.add_generic_rpc_handlers((first.handler(),))
    join.add_generic_rpc_handlers((joining.handler(),))
    listen(xds, f"unix:{socket_path(state, XDS_SOCKET)}", certificate.credentials())
    listen(signing, f"unix:{socket_path(state, CA_SOCKET)}", None)
    servers = [xds, signing]
    if remote.xds:
        listen(xds, remote.xds, certificate.credentials())
    if remote.join:
        listen(join, remote.join, certificate.credentials(mutual=False))
        servers.append(join)
    for server in servers:
        await server.start()
    try:
        yield tuple(servers)
    finally:
        for server in servers:
            await server.stop(STOP_SECONDS)
