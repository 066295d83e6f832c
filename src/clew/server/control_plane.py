"""The control plane: wires store, compiler, streams, authority and API into one process."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from starlette.applications import Starlette

from clew.api.location import API_SOCKET, socket_path
from clew.model.diagnostic import Diagnostic
from clew.model.request_authentication import RequestAuthentication
from clew.server.access_api import AccessApi
from clew.server.api import build_app, serve_api
from clew.server.api_port import ApiPort, api_roots, serving_api_port
from clew.server.api_tokens import ApiTokens
from clew.server.authority_api import AuthorityApi
from clew.server.authorization_api import AuthorizationApi
from clew.server.console import console_routes
from clew.server.directory import Directory
from clew.server.explanations_api import ExplanationsApi
from clew.server.garbage import collect_rarely, spare_the_collector
from clew.server.holds import Holds
from clew.server.holds_file import load_holds, save_holds
from clew.server.identities import AuthoritySettings, Identities
from clew.server.issuers import Issuers
from clew.server.monitoring import Monitoring, serving_metrics
from clew.server.openapi_route import add_openapi
from clew.server.openid import Network, discover
from clew.server.otlp import otlp_methods
from clew.server.proxy_ports import RemotePorts, serving_proxies
from clew.server.publisher import Publisher
from clew.server.registration import GRACE, Registration
from clew.server.runtime_settings import RuntimeSettings
from clew.server.service_addresses import add_service_addresses
from clew.server.staged_policies import take_in_stages
from clew.server.tap import Tap
from clew.server.tap_api import TapApi
from clew.server.trace_admission import Admission
from clew.server.traces_api import TracesApi
from clew.server.traffic_api import TrafficApi
from clew.server.traffic_reports import TrafficReports
from clew.server.traffic_window import TrafficWindow
from clew.server.troubles_now import TroublesNow
from clew.server.views import MeshViews
from clew.snapshot.objects import objects_of
from clew.snapshot.request_authentication import undiscovered_issuers
from clew.snapshot.scope_builder import counts_requests
from clew.stores.directory import DirectoryStore
from clew.stores.sqlite import SqliteStore
from clew.stores.store import Store, Stored
from clew.stores.traces import Traces
from clew.stores.traces_file import TraceLimits

log = logging.getLogger("clew.control_plane")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """``configuration``: a directory of manifests that replaces the store, read-only.

    ``grace``: how long a proxy that registered itself may be away before its entry goes.
    ``blocked``: where issuers of tokens are not asked for their keys.
    ``monitoring``: ``host:port`` where Prometheus reads metrics in plain HTTP, "" for nowhere.
    """

    state: Path
    configuration: Path | None = None
    grace: timedelta = GRACE
    blocked: tuple[Network, ...] = ()
    authority: AuthoritySettings = field(default_factory=AuthoritySettings)
    remote: RemotePorts = field(default_factory=RemotePorts)
    api: ApiPort = field(default_factory=ApiPort)
    traces: TraceLimits = field(default_factory=TraceLimits)
    monitoring: str = ""


async def run_control_plane(settings: Settings) -> None:
    """Serve until cancelled.

    Raises:
        OSError: a socket cannot be bound. UnusableKeys: the authority's files are damaged.
        UnusableAuthority: a new mesh cannot begin with what is plugged in.
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
    collect_rarely()
    revision, objects = await store.list()
    directory = await _directory(settings.state, store, revision, objects)
    publisher, clock = directory.publisher, _clock()
    identities = Identities(
        settings.state, settings.authority, lambda: publisher.snapshot, now=_now
    )
    ask = partial(discover, blocked=settings.blocked)
    issuers = Issuers(partial(_undiscovered, publisher), publisher.learn, ask)
    registration = Registration(store, now=_now, grace=settings.grace)
    reports = TrafficReports(
        TrafficWindow(began=clock()),
        clock,
        lambda proxy: counts_requests(publisher.snapshot, proxy),
    )
    directory.tell(reports.come, reports.gone, reports.facts)
    troubles = TroublesNow(reports, directory, identities.authority)
    explain = ExplanationsApi(directory)
    tap = Tap(RuntimeSettings(directory.proxies, clock), directory, explain, clock)
    traces = Traces(settings.state / "traces.db", settings.traces, now=clock)
    tokens = ApiTokens(settings.state, now=_now)
    monitoring = Monitoring(directory, identities, _now)
    views = MeshViews(
        store=store, directory=directory, now=_now, problems=problems, reported=troubles
    )
    app = _app(store, directory, problems)
    for part in (
        views,
        TrafficApi(reports, troubles),
        explain,
        TapApi(tap),
        TracesApi(traces),
        AuthorizationApi(lambda: publisher.snapshot),
        AuthorityApi(identities, _now),
        AccessApi(tokens, partial(api_roots, settings.api, identities)),
        monitoring,
    ):
        app.router.routes += part.routes()
    app.router.routes += console_routes()  # last, as its pages are all paths that nothing else has
    spare_the_collector()
    async with (
        serving_proxies(
            *(settings.state, settings.remote, identities, directory, registration),
            {**reports.methods(), **otlp_methods(traces.offer, Admission(clock)), **tap.methods()},
        ),
        serving_api_port(settings.api, app, tokens, identities, _now),
        serving_metrics(settings.monitoring, monitoring),
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(serve_api(app, socket_path(settings.state, API_SOCKET)))
        for each in (registration, identities, issuers, traces):
            tasks.create_task(each.run())
        log.info("ready state=%s objects=%d revision=%d", settings.state, len(objects), revision)
        async for changes in store.watch(revision):
            await take_in_stages(directory, changes)
            registration.take(changes)
            issuers.look()


async def _directory(
    state: Path, store: Store, revision: int, objects: Iterable[Stored]
) -> Directory:
    """Who is told what of these objects; those that were held when it last ran still are."""
    file = state / "held.json"
    holds = Holds(await load_holds(file, store), on_change=partial(save_holds, file))
    resources = [holds.in_force(stored.key, stored.resource) for stored in objects]
    publisher = Publisher((each for each in resources if each is not None), revision)
    return Directory(publisher, revision, holds)


def _app(
    store: Store, directory: Directory, problems: Callable[[], Sequence[Diagnostic]]
) -> Starlette:
    """What is served of objects, proxies and services, and the document of all that is."""
    app = build_app(
        store,
        mesh_status=directory.status,
        now=_now,
        problems=problems,
        published=lambda: directory.revision,
        standings=directory,
    )
    add_service_addresses(app, lambda: directory.publisher.snapshot.registry, directory.changed)
    add_openapi(app)
    return app


def _undiscovered(publisher: Publisher) -> frozenset[str]:
    return undiscovered_issuers(objects_of(RequestAuthentication, publisher.snapshot.objects))


def _clock() -> Callable[[], float]:
    """Seconds since 1970, as steadily as they pass: nobody sets this clock."""
    offset = time.time() - time.monotonic()
    return lambda: offset + time.monotonic()


def _now() -> datetime:
    return datetime.now(UTC)
