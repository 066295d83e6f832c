"""The control plane: wires store, compiler, streams, authority and API into one process."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc

from clew.api.location import API_SOCKET, CA_SOCKET, XDS_SOCKET, socket_path
from clew.api.messages import ProxyStatus
from clew.ca.authority import Authority
from clew.ca.keys import load_or_create
from clew.model.diagnostic import Diagnostic
from clew.model.proxy import Proxy
from clew.model.xds import CLUSTER
from clew.server.ads import AdsServer, OnPublish, require_identity
from clew.server.api import build_app, serve_api
from clew.server.csr import CertificateService
from clew.server.mtls import GRPC_OPTIONS, ServingCertificate, listen
from clew.server.proxies import ConnectedProxy
from clew.server.publisher import Publisher
from clew.server.registration import GRACE, Registration
from clew.stores.directory import DirectoryStore
from clew.stores.sqlite import SqliteStore
from clew.stores.store import Change, Store
from clew.xds.answers import Acked, Conversation, Nacked

log = logging.getLogger("clew.control_plane")

# How long streams may take to end when the control plane stops.
STOP_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """``configuration``: a directory of manifests that replaces the store, read-only.

    ``grace``: how long a proxy that registered itself may be away before its entry goes.
    """

    state: Path
    configuration: Path | None = None
    grace: timedelta = GRACE


class Directory:
    """Answers the ADS service, and remembers who acknowledged what.

    ``revision``: the store's, up to which changes have been published.
    """

    def __init__(self, publisher: Publisher, revision: int) -> None:
        self.publisher = publisher
        self.revision = revision
        self._connected: set[ConnectedProxy] = set()

    def connect(
        self, proxy: Proxy, on_publish: OnPublish, conversation: Conversation
    ) -> ConnectedProxy:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        subscriber = self.publisher.connect(proxy, on_publish)
        connection = ConnectedProxy(subscriber, conversation, since)
        self._connected.add(connection)
        return connection

    def report(self, connection: ConnectedProxy, verdict: Acked | Nacked) -> None:
        connection.report(verdict)

    def disconnect(self, connection: ConnectedProxy) -> None:
        self._connected.discard(connection)
        self.publisher.disconnect(connection.subscriber)

    def take(self, changes: Sequence[Change]) -> None:
        """Publish a batch of the store's changes."""
        self.publisher.change((c.key, c.stored.resource if c.stored else None) for c in changes)
        self.revision = changes[-1].revision

    def status(self) -> Sequence[ProxyStatus]:
        """One entry per Envoy; the agent's stream for names has no clusters and is left out."""
        envoys = [c for c in self._connected if CLUSTER in c.acked]
        found = [c.status(self.publisher.published_to(c.subscriber)) for c in envoys]
        return sorted(found, key=lambda s: (s.namespace, s.name))


async def run_control_plane(settings: Settings) -> None:
    """Serve until cancelled.

    Raises:
        OSError: a socket cannot be bound. UnusableKeys: the authority's files are damaged.
    """
    settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    if settings.configuration is not None:
        files = DirectoryStore(settings.configuration)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(files.run())
            await _serve(settings, files, files.problems)
    store = SqliteStore.open(settings.state / "mesh.db", now=_now)
    try:
        await _serve(settings, store, store.problems)
    finally:
        await store.close()


async def _serve(
    settings: Settings, store: Store, problems: Callable[[], Sequence[Diagnostic]]
) -> None:
    revision, objects = await store.list()
    publisher = Publisher(stored.resource for stored in objects)
    directory = Directory(publisher, revision)
    registration = Registration(store, now=_now, grace=settings.grace)
    servers = await _start_grpc(
        settings, directory, registration, publisher.snapshot.mesh.trust_domain
    )
    app = build_app(
        store,
        mesh_status=directory.status,
        now=_now,
        problems=problems,
        published=lambda: directory.revision,
    )
    _spare_the_collector()
    log.info("ready state=%s objects=%d revision=%d", settings.state, len(objects), revision)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve_api(app, socket_path(settings.state, API_SOCKET)))
            tasks.create_task(registration.run())
            async for changes in store.watch(revision):
                directory.take(changes)
                registration.take(changes)
    finally:
        for server in servers:
            await server.stop(STOP_SECONDS)


def _spare_the_collector() -> None:
    """Take what has been loaded out of garbage collection, and collect rarely.

    It lives as long as the process, and walking it costs a tenth of a second in a big mesh.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _now() -> datetime:
    return datetime.now(UTC)


async def _start_grpc(
    settings: Settings, directory: Directory, registration: Registration, trust_domain: str
) -> tuple[grpc.aio.Server, ...]:
    """Listen for proxies on xds.sock (mTLS) and for certificate requests on ca.sock."""

    def authority() -> Authority:
        return load_or_create(settings.state / "ca", trust_domain, now=_now())

    certificate = ServingCertificate(authority, trust_domain)
    xds = grpc.aio.server(options=GRPC_OPTIONS)
    ads = AdsServer(directory, require_identity(trust_domain), registration)
    renewals = CertificateService(authority, trust_domain, trust_claims=False)
    xds.add_generic_rpc_handlers((ads.handler(), renewals.handler()))
    listen(xds, f"unix:{socket_path(settings.state, XDS_SOCKET)}", certificate.credentials())
    signing = grpc.aio.server(options=GRPC_OPTIONS)
    requests = CertificateService(authority, trust_domain, trust_claims=True)
    signing.add_generic_rpc_handlers((requests.handler(),))
    listen(signing, f"unix:{socket_path(settings.state, CA_SOCKET)}", None)
    for server in (xds, signing):
        await server.start()
    return xds, signing
