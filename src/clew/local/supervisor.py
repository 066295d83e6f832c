"""`clew up`: one mesh on this machine, from its first process to its last."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, TypeVar

from clew.agent.resolvers import machine_resolvers
from clew.agent.spec import Capture
from clew.api.async_client import AsyncClient
from clew.api.location import API_SOCKET, mesh_directory, mesh_name, socket_path
from clew.local import registrar
from clew.local.addresses import GATEWAY, LOOPBACKS, WORKLOADS, choose_subnet, mesh_hash, numbered
from clew.local.agents import INGRESS, INGRESS_NAMESPACE, MeshPlace
from clew.local.capture_choice import Choice, choose_capture, tool_path, try_network
from clew.local.control_plane import ControlPlane
from clew.local.controller import Controller
from clew.local.ingress import ingress_manifests, strict_manifest
from clew.local.leftovers import remove_leftovers
from clew.local.network import MeshNetwork, Outside, open_network, used_networks
from clew.local.options import BadManifests, UpOptions, check_manifests
from clew.local.ports import Ports
from clew.local.published_ports import PublishedPorts, listeners, ports_of_others, publish
from clew.local.running_mesh import RunningMesh, save
from clew.local.state import HOLDER_LOG, STATE, lock
from clew.local.virtual_addresses import VirtualAddresses
from clew.model.base import ResourceKey

_STORE = "mesh.db"
_PATIENCE_SECONDS = 15.0
# What a program gets of the environment that `clew up` runs in.
_INHERITED = frozenset(
    "HOME LANG LANGUAGE LOGNAME PATH PYTHONPATH SHELL SSL_CERT_DIR SSL_CERT_FILE TERM TMPDIR TZ "
    "USER VIRTUAL_ENV".split()
)

T = TypeVar("T")
Report = Callable[[str], None]
INGRESS_KEY = ResourceKey("apps", "Deployment", INGRESS_NAMESPACE, INGRESS)


# What happens while the mesh is up; the mesh ends when it returns its exit code.
Session = Callable[[RunningMesh], Awaitable[int]]


class _Signals:
    """What the first signal does, and what another one does."""

    def __init__(self) -> None:
        self.came = False
        self.stop: Callable[[], object] = lambda: None
        self.hurry: Callable[[], object] = lambda: None

    def arrive(self) -> None:
        (self.hurry if self.came else self.stop)()
        self.came = True


async def run_mesh(options: UpOptions, session: Session, *, report: Report) -> int:
    """Bring a mesh up, run ``session`` in it, take the mesh down; return the exit code.

    SIGINT, SIGTERM and SIGHUP end it in order with 0, at any time; a second one ends programs
    without waiting.

    Raises: BadLocation, BadManifests, MeshRuns, NoCapture, PortTaken, NoFreeAddress,
        CommandFailed, ControlPlaneFailed. Nothing runs any more then.
    """
    signals = _Signals()
    running = asyncio.ensure_future(_run_mesh(options, session, report, signals))
    signals.stop = running.cancel
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, signals.arrive)
    try:
        return await running
    except asyncio.CancelledError:
        if not signals.came:
            raise
        return 0


async def _run_mesh(options: UpOptions, session: Session, report: Report, signals: _Signals) -> int:
    workloads = check_manifests(options)
    directory = mesh_directory(options.mesh, options.environ)
    socket_path(directory, API_SOCKET)
    with lock(directory):
        _clean(directory, keep=options.keep, report=report)
        choice = choose_capture(options.capture, lambda: try_network(options.environ))
        wanted = [_waited_for(workload.owner) for workload in workloads]
        async with _open_mesh(options, directory, choice, report) as (mesh, failure):
            signals.hurry = mesh.controller.hurry
            return await _first(_live(mesh, options, wanted, session, report), failure)


def _waited_for(owner: ResourceKey) -> ResourceKey:
    return owner._replace(namespace=owner.namespace or "default")


def _clean(directory: Path, *, keep: bool, report: Report) -> None:
    """Remove what an earlier run left; all but its certificate authority, and what is to keep."""
    killed = remove_leftovers(directory)
    if killed:
        report(f"ended {killed} processes that an earlier run had left")
    if not keep:
        for file in directory.glob(f"{_STORE}*"):
            file.unlink()


async def _live(
    mesh: RunningMesh,
    options: UpOptions,
    wanted: list[ResourceKey],
    session: Session,
    report: Report,
) -> int:
    """Fill a mesh that has just been opened, wait until it serves, and use it."""
    await _apply_everything(mesh, options, report)
    hint = "" if mesh.choice.capture is Capture.NETNS else "; programs must listen on $PORT"
    await _wait_until_ready(mesh.controller, [INGRESS_KEY, *wanted], hint, report)
    await mesh.controller.wait_until_known()
    mesh.up = True
    save(mesh)
    return await session(mesh)


async def _apply_everything(mesh: RunningMesh, options: UpOptions, report: Report) -> None:
    ports = mesh.ports
    manifests = [*ingress_manifests(http=ports.http, https=ports.https, tcp=ports.tcp)]
    if options.strict:
        manifests.append(strict_manifest())
    for manifest in manifests:
        await registrar.apply(mesh.client, manifest)
    problems: list[str] = []
    for file, text in options.manifests:
        answer = await mesh.client.apply(text, file=file, author=registrar.AUTHOR)
        for item in answer.items:
            texts = [item.error, *(found.text for found in item.diagnostics)]
            said = [text for text in texts if text]
            if item.result == "refused":
                problems += said
            else:
                for text in said:
                    report(text)
    if problems:
        raise BadManifests("\n".join(problems))


async def _wait_until_ready(
    controller: Controller, wanted: list[ResourceKey], hint: str, report: Report
) -> None:
    waiting = asyncio.ensure_future(controller.wait_until_ready(wanted))
    try:
        while not (await asyncio.wait({waiting}, timeout=_PATIENCE_SECONDS))[0]:
            names = ", ".join(str(key) for key in controller.unsettled(wanted))
            report(f"still waiting for {names} (see: clew ps, clew logs{hint})")
    finally:
        waiting.cancel()


@asynccontextmanager
async def _open_mesh(
    options: UpOptions, directory: Path, choice: Choice, report: Report
) -> AsyncIterator[tuple[RunningMesh, asyncio.Future[None]]]:
    """Start network, control plane and controller; stop programs, proxies and these, in order.

    The future fails when the mesh cannot go on.
    """
    environ = _environment(options.environ)
    taken = Ports(ports_of_others(directory))
    ports = publish(taken, options.port)
    subnet = await _subnet(directory, choice, environ)
    virtual = VirtualAddresses(report)
    async with _network(choice, directory, subnet, ports, environ, virtual) as network:
        place = MeshPlace(
            mesh=mesh_name(options.mesh, options.environ),
            directory=directory,
            subnet=subnet,
            network=network,
            environ=environ,
            working_dir=options.working_dir,
        )
        async with AsyncClient(directory / API_SOCKET) as client:
            control_plane = ControlPlane(directory, environ, report=report)
            controller = Controller(
                place,
                client,
                images=options.images,
                inherited=_inherited(options.environ),
                ports=taken,
                virtual=virtual,
                report=report,
                on_change=lambda: save(mesh),
            )
            mesh = RunningMesh(
                name=place.mesh,
                directory=directory,
                choice=choice,
                subnet=subnet,
                ports=ports,
                client=client,
                control_plane=control_plane,
                controller=controller,
                network=network,
            )
            control_plane.on_change = lambda: save(mesh)
            async with _running(control_plane, controller, client) as failure:
                yield mesh, failure
    (directory / STATE).unlink(missing_ok=True)


@asynccontextmanager
async def _running(
    control_plane: ControlPlane, controller: Controller, client: AsyncClient
) -> AsyncIterator[asyncio.Future[None]]:
    serving = asyncio.ensure_future(control_plane.run())
    controlling: asyncio.Future[None] | None = None
    try:
        await _first(control_plane.wait_until_ready(client), serving)
        controlling = asyncio.ensure_future(controller.run())
        failure = asyncio.ensure_future(_any_failure(serving, controlling))
        try:
            yield failure
        finally:
            failure.cancel()
            await asyncio.gather(failure, return_exceptions=True)
    finally:
        if controlling is not None:
            controlling.cancel()
            await asyncio.gather(controlling, return_exceptions=True)
        await controller.stop_all()
        await control_plane.stop()
        await asyncio.gather(serving, return_exceptions=True)


async def _first(work: Awaitable[T], other: asyncio.Future[None]) -> T:
    """Return what ``work`` returns, unless ``other``, which has no end, fails first."""
    working = asyncio.ensure_future(work)
    both: tuple[asyncio.Future[Any], ...] = (working, other)
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            other.result()
        return await working
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def _any_failure(*running: asyncio.Future[None]) -> None:
    done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What clew's own processes get: everything but the proxies of the world outside."""
    kept = {k: v for k, v in environ.items() if not k.lower().endswith("_proxy")}
    return kept | {"PATH": tool_path(environ), "PYTHONUNBUFFERED": "1"}


def _inherited(environ: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in environ.items() if k in _INHERITED or k.startswith("LC_")}


async def _subnet(directory: Path, choice: Choice, environ: Mapping[str, str]) -> IPv4Network:
    preference = int(mesh_hash(str(directory)), 16)
    if choice.capture is Capture.ENV:
        return choose_subnet(LOOPBACKS, (), preference=preference)
    return choose_subnet(WORKLOADS, await used_networks(environ), preference=preference)


@asynccontextmanager
async def _network(
    choice: Choice,
    directory: Path,
    subnet: IPv4Network,
    ports: PublishedPorts,
    environ: Mapping[str, str],
    virtual: VirtualAddresses,
) -> AsyncIterator[MeshNetwork | None]:
    if choice.capture is Capture.ENV:
        yield None
        return
    with listeners(choice, ports) as sockets:
        gateway = numbered(subnet, GATEWAY)
        async with open_network(
            subnet=subnet,
            user_namespace=choice.user_namespace,
            directory=directory,
            environ=environ,
            log=directory / HOLDER_LOG,
            mesh_hash=mesh_hash(str(directory)),
            inbound=[(sock, (gateway, sock.getsockname()[1])) for sock in sockets],
            outside=Outside(resolvers=machine_resolvers(), destination=virtual.destination),
        ) as network:
            yield network
