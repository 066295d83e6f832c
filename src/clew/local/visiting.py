"""`clew run`: one program of the user's, with its sidecar, in a mesh that runs already."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path

from clew.agent.spec import AgentSpec, AppSpec, Capture
from clew.api.answers import ApiError, Unreachable
from clew.api.async_client import AsyncClient
from clew.api.location import API_SOCKET
from clew.config.parse import parse_manifest
from clew.local import leases, proxy_settings, registrar
from clew.local.agents import MeshPlace, Where, listening_ports
from clew.local.capture_choice import tool_path
from clew.local.foreground_agent import Report, run_agent
from clew.local.membership import (
    group_key,
    is_entry_of,
    is_healthy,
    member_ports,
    member_spec,
    member_workload,
)
from clew.local.network import MeshNetwork, add_workload
from clew.local.ports import Ports
from clew.local.replica import release_place
from clew.local.replica_spec import configured_spec
from clew.local.state import (
    RunState,
    agent_directory,
    format_process,
    process_id,
)
from clew.local.visit import (
    Visit,
    program_environment,
    selects,
    visiting_service,
    visiting_workload,
)
from clew.local.workloads import RUN_BY, Workload, pod_manifest
from clew.local.world import MESH_CONFIG, is_ready, mesh_of
from clew.model.base import ResourceKey
from clew.model.mesh_config import MeshConfig
from clew.model.pod import Pod
from clew.model.workload_group import WorkloadGroup

_GRACE_SECONDS = 10


def mesh_place(directory: Path, state: RunState, environ: Mapping[str, str]) -> MeshPlace:
    """Return where the running mesh is, from what its `clew up` wrote down."""
    tools = {**environ, "PATH": tool_path(environ)}
    network = None
    if state.capture is Capture.NETNS and state.namespace_holder is not None:
        network = MeshNetwork(
            holder=state.namespace_holder.pid,
            user_namespace=state.user_namespace,
            subnet=IPv4Network(state.subnet),
            directory=directory,
            environ=tools,
        )
    return MeshPlace(
        mesh=state.mesh,
        directory=directory,
        subnet=IPv4Network(state.subnet),
        network=network,
        environ=tools,
        working_dir="/",
    )


async def run_visit(visit: Visit, place: MeshPlace, state: RunState, *, report: Report) -> int:
    """Run the program in the mesh until it ends, take it back, and return its exit code.

    Raises: NoFreeAddress, CommandFailed, CannotRun, PortTaken, ApiError, Unreachable.
    """
    me = process_id(os.getpid())
    assert me is not None
    process = format_process(me)
    async with AsyncClient(place.directory / API_SOCKET) as client:
        if visit.group:
            return await _run_member(visit, place, state, client, process, report)
        workload = visiting_workload(visit, process=process)
        ports = {visit.port_name: visit.port} if visit.port else {}
        async with _address(workload, place) as address:
            spec = await _spec(visit, workload, place, address, client, ports)
            announce = partial(_announce, visit, spec, client, report)
            async with _registered(visit, workload, address, client, report):
                return await run_agent(spec, place, state, announce, report)


async def _run_member(
    visit: Visit,
    place: MeshPlace,
    state: RunState,
    client: AsyncClient,
    process: str,
    report: Report,
) -> int:
    """Run a program that registers itself by its WorkloadGroup. Raises: ApiError, without one."""
    group = parse_manifest(await client.get(group_key(visit))).resource
    assert isinstance(group, WorkloadGroup)
    workload = member_workload(visit, group, process=process)
    async with _address(workload, place) as address:
        ports = member_ports(visit, group)
        spec = await _spec(visit, workload, place, address, client, ports)
        spec = member_spec(spec, visit, group)
        announce = partial(_announce_member, visit, spec, client, report)
        try:
            return await run_agent(spec, place, state, announce, report)
        finally:
            with contextlib.suppress(Unreachable, ApiError):
                await _remove_entries(visit, address, client)


async def _remove_entries(visit: Visit, address: str, client: AsyncClient) -> None:
    """A program that has ended in order does not come back: nobody needs to wait for it."""
    entries = await client.list(kinds=("WorkloadEntry",), namespace=visit.namespace)
    for manifest in entries.items:
        if is_entry_of(manifest, visit, address):
            key = ResourceKey(
                "networking.istio.io",
                "WorkloadEntry",
                visit.namespace,
                manifest["metadata"]["name"],
            )
            await client.delete(key, author=registrar.AUTHOR)


@asynccontextmanager
async def _address(workload: Workload, place: MeshPlace) -> AsyncIterator[str]:
    """An address in the mesh, its namespace, and a directory; all of it for a while."""
    owner = f"{workload.namespace}/{workload.name}"
    directory = agent_directory(place.directory, workload.namespace, workload.name)
    address = leases.lease(place.directory, place.subnet, owner)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if place.network is not None:
            await add_workload(place.network, address)
        yield address
    finally:
        await release_place(place, workload.namespace, workload.name, address)


async def _spec(
    visit: Visit,
    workload: Workload,
    place: MeshPlace,
    address: str,
    client: AsyncClient,
    ports: Mapping[str, int],
) -> AgentSpec:
    take_port = Ports().take
    listening = listening_ports(ports.values(), place, take_port)
    app = AppSpec(
        command=visit.command,
        env=program_environment(visit, place.environ, ports, listening),
        working_dir=visit.working_dir,
        ports=dict(ports),
        grace_seconds=_GRACE_SECONDS,
        restart=False,
    )
    where = Where(name=workload.name, address=address, outside=place.network is None)
    mesh = await _mesh(client)
    found = await client.list(kinds=proxy_settings.KINDS)
    return configured_spec(
        workload,
        where,
        place,
        app,
        listening,
        mesh=mesh,
        resources=[r for m in found.items if (r := parse_manifest(m).resource) is not None],
        take_port=take_port,
    )


async def _mesh(client: AsyncClient) -> MeshConfig:
    try:
        return mesh_of(parse_manifest(await client.get(MESH_CONFIG)).resource)
    except ApiError:
        return mesh_of(None)


@asynccontextmanager
async def _registered(
    visit: Visit, workload: Workload, address: str, client: AsyncClient, report: Report
) -> AsyncIterator[None]:
    """The Pod in the store, and a Service if it needs one, for as long as the program runs."""
    since = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    manifest = pod_manifest(workload, workload.name, address, since=since)
    await registrar.apply(client, manifest)
    try:
        await client.put_status(workload.owner, manifest["status"])
        if visit.port:
            await _provide_service(visit, workload, client, report)
        yield
    finally:
        with contextlib.suppress(Unreachable):
            await registrar.unregister_pod(client, workload.namespace, workload.name)
            await _remove_unused_service(visit, client)


def _service_key(visit: Visit) -> ResourceKey:
    return ResourceKey("", "Service", visit.namespace, visit.name)


async def _provide_service(
    visit: Visit, workload: Workload, client: AsyncClient, report: Report
) -> None:
    try:
        service = await client.get(_service_key(visit))
    except ApiError:
        await registrar.apply(client, visiting_service(visit))
        return
    if not selects(service, workload):
        selector = service.get("spec", {}).get("selector")
        report(
            f"the Service {visit.namespace}/{visit.name} exists and does not select this program: "
            f"its selector is {selector}\n  hint: add labels with --label, or choose another --name"
        )


async def _remove_unused_service(visit: Visit, client: AsyncClient) -> None:
    """Remove the Service that `clew run` made, unless another program stands behind it."""
    with contextlib.suppress(ApiError):
        service = await client.get(_service_key(visit))
        pods = (await client.list(kinds=("Pod",), namespace=visit.namespace)).items
        used = any(pod["metadata"].get("labels", {}).get("app") == visit.name for pod in pods)
        if RUN_BY in service["metadata"].get("annotations", {}) and not used:
            await client.delete(_service_key(visit), author=registrar.AUTHOR)


async def _announce(visit: Visit, spec: AgentSpec, client: AsyncClient, report: Report) -> None:
    """Say once that the mesh can reach the program."""
    key = registrar.pod_key(spec.namespace, spec.name)
    with contextlib.suppress(Unreachable, ApiError):
        async for objects in client.follow(kinds=("Pod",)):
            pod = parse_manifest(objects[key]).resource if key in objects else None
            if isinstance(pod, Pod) and is_ready(pod):
                reach = f" as {visit.name}.{visit.namespace}:{visit.port}" if visit.port else ""
                report(f"{spec.name} is in the mesh {spec.mesh}{reach}")
                return


async def _announce_member(
    visit: Visit, spec: AgentSpec, client: AsyncClient, report: Report
) -> None:
    with contextlib.suppress(Unreachable, ApiError):
        async for objects in client.follow(kinds=("WorkloadEntry",)):
            for manifest in objects.values():
                if is_entry_of(manifest, visit, spec.ip) and is_healthy(manifest):
                    name = f"{manifest['metadata']['name']} of the group {visit.group}"
                    report(f"{name} is in the mesh {spec.mesh}")
                    return
