"""A real admin API on a Unix socket, for as long as a test needs it."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from clew.api.async_client import AsyncClient
from clew.api.messages import ProxyStatus
from clew.model.diagnostic import Diagnostic
from clew.server.api import build_app, serve_api
from clew.server.authority_api import AuthorityApi
from clew.server.authorization_api import AuthorizationApi
from clew.server.console import console_routes
from clew.server.directory import Directory
from clew.server.explanations_api import ExplanationsApi
from clew.server.identities import AuthoritySettings, Identities
from clew.server.publisher import Publisher
from clew.server.runtime_settings import RuntimeSettings
from clew.server.service_addresses import add_service_addresses
from clew.server.tap import Tap
from clew.server.tap_api import TapApi
from clew.server.traces_api import TracesApi
from clew.server.traffic_api import TrafficApi
from clew.server.traffic_reports import TrafficReports
from clew.server.traffic_window import TrafficWindow
from clew.server.troubles_now import TroublesNow
from clew.server.views import MeshViews
from clew.stores.store import Store
from clew.stores.traces import Traces
from clew.stores.traces_file import TraceLimits
from tests.stores.memory import MemoryStore
from tests.stores.objects import noon

T = TypeVar("T")


async def with_server(
    scenario: Callable[[AsyncClient, Path], Awaitable[T]],
    store: Store | None = None,
    *,
    proxies: Sequence[ProxyStatus] = (),
    problems: Sequence[Diagnostic] = (),
    on_reports: Callable[[TrafficReports], object] = lambda reports: None,
) -> T:
    """Run the scenario against a server in a directory with a short path."""
    with tempfile.TemporaryDirectory(prefix="clew") as directory:
        socket = Path(directory) / "api.sock"
        store = store or MemoryStore(now=noon)
        serving = asyncio.ensure_future(
            _serve(store, socket, proxies, problems, on_reports=on_reports)
        )
        try:
            await _exists(socket, serving)
            async with AsyncClient(socket) as client:
                return await scenario(client, socket)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            assert not socket.exists()


@contextmanager
def server_thread(
    home: Path,
    store: Store | None = None,
    *,
    mesh: str = "default",
    proxies: Sequence[ProxyStatus] = (),
    problems: Sequence[Diagnostic] = (),
    on_directory: Callable[[Directory], object] = lambda directory: None,
    on_reports: Callable[[TrafficReports], object] = lambda reports: None,
) -> Iterator[Path]:
    """Serve the mesh below ``home`` from another thread, for commands that block.

    ``on_directory``, ``on_reports``: what to do with the directory of proxies, and with what takes
    reports of traffic, in that thread.
    """
    (home / mesh).mkdir(parents=True, exist_ok=True)
    socket = home / mesh / "api.sock"
    loop = asyncio.new_event_loop()
    store = store or MemoryStore(now=noon)
    serving = loop.create_task(_serve(store, socket, proxies, problems, on_directory, on_reports))
    exists = loop.create_task(_exists(socket, serving))
    started = threading.Event()
    exists.add_done_callback(lambda _: started.set())
    thread = threading.Thread(target=_run, args=(loop, serving))
    thread.start()
    try:
        assert started.wait(10)
        yield socket
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join()


async def _serve(
    store: Store,
    socket: Path,
    proxies: Sequence[ProxyStatus],
    problems: Sequence[Diagnostic],
    on_directory: Callable[[Directory], object] = lambda directory: None,
    on_reports: Callable[[TrafficReports], object] = lambda reports: None,
) -> None:
    revision, objects = await store.list()
    directory = Directory(Publisher((each.resource for each in objects), revision), revision)
    on_directory(directory)
    app = build_app(
        store,
        mesh_status=lambda: proxies or directory.status(),
        now=noon,
        problems=lambda: problems,
        standings=directory,
    )
    add_service_addresses(app, lambda: directory.publisher.snapshot.registry, directory.changed)
    identities = Identities(
        socket.parent, AuthoritySettings(), lambda: directory.publisher.snapshot, _now
    )
    own = AuthorityApi(identities, _now)
    authorization = AuthorizationApi(lambda: directory.publisher.snapshot)
    reports = TrafficReports(TrafficWindow(began=time.time()), time.time)
    troubles = TroublesNow(reports, directory, identities.authority)
    views = MeshViews(
        store=store,
        directory=directory,
        now=noon,
        problems=lambda: problems,
        reported=troubles,
    )
    directory.tell(reports.come, reports.gone, reports.facts)
    on_reports(reports)
    found = [*views.routes(), *authorization.routes(), *own.routes()]
    traces = Traces(socket.parent / "traces.db", TraceLimits(), now=time.time)
    explain = ExplanationsApi(directory)
    tap = Tap(RuntimeSettings(directory.proxies, time.time), directory, explain, time.time)
    found += [*TracesApi(traces).routes(), *explain.routes(), *TapApi(tap).routes()]
    app.router.routes += [*found, *TrafficApi(reports, troubles).routes(), *console_routes()]
    following = asyncio.ensure_future(_follow(store, directory, revision))
    changing = asyncio.ensure_future(identities.run())
    tracing = asyncio.ensure_future(traces.run())
    try:
        await serve_api(app, socket)
    finally:
        for task in (following, changing, tracing):
            task.cancel()
        await asyncio.gather(following, changing, tracing, return_exceptions=True)


def _now() -> datetime:
    return datetime.now(UTC)


async def _follow(store: Store, directory: Directory, revision: int) -> None:
    async for changes in store.watch(revision):
        directory.take(changes)


def _run(loop: asyncio.AbstractEventLoop, serving: asyncio.Task[None]) -> None:
    try:
        loop.run_until_complete(asyncio.gather(serving, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


async def _exists(socket: Path, serving: asyncio.Future[None]) -> None:
    async with asyncio.timeout(10):
        while not os.path.exists(socket) and not serving.done():  # noqa: ASYNC110, ASYNC240  # files
            await asyncio.sleep(0.01)
    if serving.done():
        serving.result()


def run(
    scenario: Callable[[AsyncClient, Path], Awaitable[None]],
    store: Store | None = None,
    **options: Any,
) -> None:
    """Run the scenario in an event loop of its own; ``options``: those of ``with_server``."""
    asyncio.run(with_server(scenario, store, **options))


async def raw(socket: Path, method: str, path: str, **options: Any) -> httpx2.Response:
    """One request over the socket, as nobody's client makes it."""
    transport = httpx2.AsyncHTTPTransport(uds=str(socket))
    async with httpx2.AsyncClient(transport=transport, base_url="http://clew") as client:
        return await client.request(method, path, **options)
