"""What the controller writes into the store: Pods, their status, addresses of services."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import Callable, Mapping
from typing import Any

from clew.agent.conditions import Ended
from clew.agent.health import last_state
from clew.api.answers import ApiError, Unreachable
from clew.api.async_client import AsyncClient
from clew.api.messages import ProxyList
from clew.local.addresses import choose_service_address
from clew.local.programs import CannotRun
from clew.local.workloads import RUN_BY, Workload, is_bare, pending_status, pod_labels, pod_manifest
from clew.local.world import World, needs_address
from clew.model.base import ResourceKey
from clew.model.pod import Pod

AUTHOR = "clew up"

_TURN_AWAY_SECONDS = 1.0
_KNOWN_SECONDS = 10.0
_POLL_SECONDS = 0.02


def pod_key(namespace: str, name: str) -> ResourceKey:
    return ResourceKey("", "Pod", namespace, name)


async def apply(client: AsyncClient, manifest: Mapping[str, Any]) -> None:
    """Apply one object of ours. Raises: CannotRun, if it is refused; Unreachable, ApiError."""
    report = await client.apply_manifest(manifest, author=AUTHOR)
    for item in report.items:
        if item.result == "refused":
            reasons = [item.error, *(found.text for found in item.diagnostics if found.is_error)]
            raise CannotRun("; ".join(reason for reason in reasons if reason))


async def register_pod(
    client: AsyncClient, world: World, workload: Workload, name: str, address: str, since: str
) -> None:
    """Let the mesh know of a replica that is not ready yet."""
    key = pod_key(workload.namespace, name)
    if workload.owner.kind == "Pod":
        await add_labels(client, world, workload)
    else:
        await apply(client, pod_manifest(workload, name, address, since=since))
    await client.put_status(key, pending_status(address, since))


async def add_labels(client: AsyncClient, world: World, workload: Workload) -> None:
    """Give a Pod that a user wrote, perhaps anew, the labels that it lacks."""
    manifest = copy.deepcopy(dict(world.manifests[workload.owner]))
    labels = pod_labels(workload)
    if manifest["metadata"].get("labels") != labels:
        manifest["metadata"]["labels"] = labels
        manifest["metadata"].pop("resourceVersion", None)
        await apply(client, manifest)


async def unregister_pod(client: AsyncClient, namespace: str, name: str) -> None:
    """Let the mesh forget a replica; no error if it has."""
    with contextlib.suppress(ApiError):
        await client.delete(pod_key(namespace, name), author=AUTHOR)


async def set_not_ready(
    client: AsyncClient, world: World, namespace: str, name: str, ended: Ended | None = None
) -> int:
    """Say for an agent that its replica serves no more; return the revision of that, or 0.

    ``ended``: how the agent did, of which only we know.
    """
    status = world.manifests.get(pod_key(namespace, name), {}).get("status")
    if status is None:
        return 0
    status = {**status, "conditions": [{"type": "Ready", "status": "False"}]}
    if ended is not None:
        (container, *_) = status.get("containerStatuses") or [{"name": "app"}]
        now = {"ready": False, "lastState": last_state(ended)}
        status["containerStatuses"] = [{**container, **now}]
    with contextlib.suppress(ApiError, Unreachable):
        written = await client.put_status(pod_key(namespace, name), status)
        return int(written["metadata"].get("resourceVersion", 0))
    return 0


async def turn_clients_away(client: AsyncClient, world: World, namespace: str, name: str) -> None:
    """Say that a replica serves no more, and wait, not for ever, until the proxies know it.

    What they send after that goes elsewhere, so its program can end without a failed request.
    """
    revision = await set_not_ready(client, world, namespace, name)
    await _wait_until(
        client, lambda proxies: proxies.has_settled(revision, only="EDS"), _TURN_AWAY_SECONDS
    )


async def wait_until_known(client: AsyncClient, world: World) -> None:
    """Wait, not for ever, until the proxies have all that we know of the mesh."""
    revision = max(
        (int(m["metadata"].get("resourceVersion", 0)) for m in world.manifests.values()), default=0
    )
    await _wait_until(client, lambda proxies: proxies.has_settled(revision), _KNOWN_SECONDS)


async def _wait_until(
    client: AsyncClient, holds: Callable[[ProxyList], bool], seconds: float
) -> None:
    with contextlib.suppress(TimeoutError, ApiError, Unreachable):
        async with asyncio.timeout(seconds):
            while True:
                if holds(await client.proxies()):
                    return
                await asyncio.sleep(_POLL_SECONDS)


async def report_replicas(
    client: AsyncClient, world: World, workload: Workload, *, counts: dict[str, int], problem: str
) -> None:
    """Write the status of a Deployment or StatefulSet, if it has changed.

    Source: Kubernetes' DeploymentStatus.
    """
    if workload.owner.kind == "Pod":
        return
    manifest = world.manifests[workload.owner]
    available = counts["readyReplicas"] >= workload.replicas
    conditions: list[dict[str, str]] = [{"type": "Available", "status": str(available)}]
    if problem:
        conditions.append({"type": "ReplicaFailure", "status": "True", "message": problem})
    generation = manifest["metadata"].get("generation", 0)
    status = {"observedGeneration": generation, **counts, "conditions": conditions}
    if manifest.get("status") != status:
        await client.put_status(workload.owner, status)


async def give_service_addresses(client: AsyncClient, world: World, given: dict[str, str]) -> None:
    """Give each Service an address, as the API server of Kubernetes does.

    ``given`` remembers addresses by service, so that one applied anew keeps its own.
    """
    taken = {service.spec.cluster_ip for service in world.services()}
    for service in world.services():
        name = f"{service.metadata.namespace}/{service.metadata.name}"
        if not needs_address(service):
            given[name] = service.spec.cluster_ip
            continue
        address = given.get(name, "")
        if not address or address in taken:
            address = choose_service_address(name, taken)
        taken.add(address)
        given[name] = address
        manifest = copy.deepcopy(dict(world.manifests[service.key]))
        manifest["spec"] = {**manifest.get("spec", {}), "clusterIP": address}
        with contextlib.suppress(CannotRun):  # changed meanwhile: its next state comes
            await apply(client, manifest)


def is_orphan(pod: Pod) -> bool:
    """Tell whether only an owner that runs it can want this Pod."""
    return not is_bare(pod) and RUN_BY not in pod.metadata.annotations
