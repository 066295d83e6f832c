"""A control plane in this process: what ``clew server`` serves to proxies, without a store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from clew.ca.authority import Authority
from clew.ca.keys import load_or_create
from clew.model.proxy import Proxy
from clew.server.ads import AdsServer, Authenticate, require_identity
from clew.server.csr import CertificateService
from clew.server.directory import Directory
from clew.server.http2.server import GrpcServer
from clew.server.listening import listen
from clew.server.mtls import ServingCertificate
from clew.server.proxies import ConnectedProxy
from clew.server.publications import OnPublish
from clew.server.publisher import Publisher
from clew.xds.answers import Acked, Conversation, Nacked

TRUST_DOMAIN = "cluster.local"


class WatchedDirectory(Directory):
    """The control plane's own, where one can wait for what proxies say."""

    def __init__(self, publisher: Publisher) -> None:
        super().__init__(publisher, 0)
        self.verdicts = 0
        self._happened = asyncio.Event()

    def connect(
        self, proxy: Proxy, on_publish: OnPublish, conversation: Conversation
    ) -> ConnectedProxy:
        self._happened.set()
        return super().connect(proxy, on_publish, conversation)

    def report(self, connection: ConnectedProxy, verdict: Acked | Nacked) -> None:
        super().report(connection, verdict)
        self.verdicts += 1
        self._happened.set()

    def disconnect(self, connection: ConnectedProxy) -> None:
        super().disconnect(connection)
        self._happened.set()

    async def heard(self, verdicts: int) -> None:
        """Wait until so many responses in all have been accepted or refused."""
        await self.until(lambda: self.verdicts >= verdicts)

    async def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._happened.clear()
                await self._happened.wait()


@asynccontextmanager
async def serving(
    folder: Path, publisher: Publisher, *, secure: bool = True
) -> AsyncIterator[WatchedDirectory]:
    """Serve xds.sock and ca.sock in ``folder``; not ``secure``: xds.sock without TLS."""
    directory = WatchedDirectory(publisher)
    authority = authority_in(folder)
    certificate = ServingCertificate(lambda: authority, TRUST_DOMAIN)
    check: Authenticate = require_identity(lambda: (TRUST_DOMAIN,)) if secure else _anybody
    signing = CertificateService(lambda: authority, lambda: (TRUST_DOMAIN,), trust_claims=True)
    ads = AdsServer(directory, check)
    servers = [
        GrpcServer(
            listen(f"unix:{folder}/xds.sock"),
            ads.methods(),
            certificate.mutual if secure else None,
        ),
        GrpcServer(listen(f"unix:{folder}/ca.sock"), signing.methods()),
    ]
    try:
        yield directory
    finally:
        for server in servers:
            await server.stop()


def authority_in(folder: Path) -> Authority:
    return load_or_create(folder / "ca", TRUST_DOMAIN, now=datetime.now(UTC))


@contextmanager
def logging_to(file: Path) -> Iterator[None]:
    """Write the log that ``clew server`` writes, since it is part of the cost of a push."""
    handler = logging.FileHandler(file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger = logging.getLogger("clew")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        handler.close()


def _anybody(proxy: Proxy, identity: object) -> str:
    return ""
