"""Pods in the store that nothing runs any more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Container

from clew.api.answers import Unreachable
from clew.api.async_client import AsyncClient
from clew.local.agents import MeshPlace
from clew.local.registrar import is_orphan, unregister_pod
from clew.local.replica import release_place
from clew.local.state import is_alive, parse_process
from clew.local.workloads import RUN_BY
from clew.local.world import World
from clew.model.pod import Pod

_LOOK_SECONDS = 2.0


async def remove_orphans(
    client: AsyncClient, world: World, known: Container[tuple[str, str]]
) -> None:
    """Remove Pods of an earlier run. ``known``: namespace and name of those that run."""
    for pod in list(world.pods()):
        place = (pod.metadata.namespace, pod.metadata.name)
        if is_orphan(pod) and place not in known:
            await unregister_pod(client, *place)


async def unregister_dead_runners(client: AsyncClient, world: World, place: MeshPlace) -> None:
    """Take back, until cancelled, Pods of a `clew run` that was killed before it could do so."""
    while True:
        for pod in list(world.pods()):
            runner = pod.metadata.annotations.get(RUN_BY)
            if runner is not None and not is_alive(parse_process(runner)):
                with contextlib.suppress(Unreachable):
                    await _take_back(pod, client, place)
        await asyncio.sleep(_LOOK_SECONDS)


async def _take_back(pod: Pod, client: AsyncClient, place: MeshPlace) -> None:
    namespace, name = pod.metadata.namespace, pod.metadata.name
    await unregister_pod(client, namespace, name)
    await release_place(place, namespace, name, pod.status.pod_ip if pod.status else "")
