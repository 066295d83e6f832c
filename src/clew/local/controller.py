"""Makes this machine run what the objects of the mesh say: starts, replaces and stops replicas."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime

from clew.agent.conditions import Ended
from clew.api.answers import ApiError, Unreachable
from clew.api.async_client import AsyncClient
from clew.local.addresses import NoFreeAddress
from clew.local.agents import MeshPlace
from clew.local.gateways import Gateways
from clew.local.images import Images
from clew.local.orphans import remove_orphans, unregister_dead_runners
from clew.local.ports import Ports, PortTaken
from clew.local.process import CommandFailed
from clew.local.programs import (
    CannotRun,
    Surroundings,
    check_program,
)
from clew.local.registrar import (
    add_labels,
    give_service_addresses,
    register_pod,
    report_replicas,
    set_not_ready,
    turn_clients_away,
    unregister_pod,
    wait_until_known,
)
from clew.local.replica import ReplicaProcess
from clew.local.replica_spec import replica_spec
from clew.local.rollout import Replica, plan_rollout
from clew.local.state import ReplicaState
from clew.local.virtual_addresses import VirtualAddresses
from clew.local.workloads import Workload, is_gateway
from clew.local.world import KINDS, World, is_ready, restarts
from clew.model.base import ResourceKey

_RETRY_SECONDS = 0.2

Report = Callable[[str], None]


class Controller:
    """Everything that runs in one mesh. ``report`` is told, in a line, what people should know."""

    def __init__(
        self,
        place: MeshPlace,
        client: AsyncClient,
        *,
        images: Images,
        inherited: dict[str, str],
        ports: Ports,
        virtual: VirtualAddresses,
        report: Report,
        on_change: Callable[[], None],
    ) -> None:
        self._place = place
        self._client = client
        self._images = images
        self._inherited = inherited
        self._ports = ports
        self._virtual = virtual
        self._say = report
        self._on_change = on_change
        self._world = World()
        self._seen = False
        self._changed = asyncio.Event()
        self._settled = asyncio.Condition()
        self._replicas: dict[tuple[ResourceKey, str], ReplicaProcess] = {}
        self._stopping: dict[tuple[ResourceKey, str], ReplicaProcess] = {}
        self._problems: dict[ResourceKey, str] = {}
        self._service_addresses: dict[str, str] = {}
        shared = place.network is None or not place.network.user_namespace
        take_near = ports.take_near if shared else None
        self._gateways = Gateways(client, take_near, report)
        self._tasks: set[asyncio.Task[None]] = set()

    # What people ask

    @property
    def replicas(self) -> tuple[ReplicaState, ...]:
        everything = (*self._replicas.values(), *self._stopping.values())
        return tuple(replica.state for replica in everything if replica.started)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why workloads do not run, one text for each."""
        return tuple(f"{key}: {text}" for key, text in sorted(self._problems.items()))

    async def wait_until_ready(self, wanted: Iterable[ResourceKey]) -> None:
        """Return when each of these workloads has all its replicas ready, or cannot run."""
        keys = tuple(wanted)
        async with self._settled:
            await self._settled.wait_for(lambda: self._seen and all(map(self._is_settled, keys)))

    async def wait_until_known(self) -> None:
        """Return when all proxies know what is ready now, unless one does not answer."""
        await wait_until_known(self._client, self._world)

    def unsettled(self, wanted: Iterable[ResourceKey]) -> tuple[ResourceKey, ...]:
        """Those that are not ready yet, though nothing is known to be wrong."""
        return tuple(key for key in wanted if not self._is_settled(key))

    def _is_settled(self, key: ResourceKey) -> bool:
        workload = next((w for w in self._world.workloads() if w.owner == key), None)
        if workload is None:
            return False
        return key in self._problems or self._ready_count(workload) >= workload.replicas

    def _ready_count(self, workload: Workload) -> int:
        return sum(
            replica.ready and replica.workload.version == workload.version
            for (owner, _), replica in self._replicas.items()
            if owner == workload.owner
        )

    # What keeps it going

    async def run(self) -> None:
        """Follow the objects and act on every change, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._reconcile_for_ever())
            tasks.create_task(unregister_dead_runners(self._client, self._world, self._place))
            if self._place.network is not None:
                tasks.create_task(self._virtual.run(self._place.network, self._client))

    async def _follow(self) -> None:
        while True:
            # What is wrong with the control plane, its log says: what runs goes on meanwhile.
            with contextlib.suppress(Unreachable, ApiError):
                async for objects in self._client.follow(kinds=KINDS, secrets=True):
                    self._world.update(objects)
                    self._seen = True
                    self._changed.set()
            await asyncio.sleep(_RETRY_SECONDS)  # the supervisor restarts the control plane

    async def _reconcile_for_ever(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not self._seen:
                continue
            try:
                await self._reconcile()
            except (Unreachable, ApiError):
                # Away, or somebody was faster: the next state of the world comes by itself.
                await asyncio.sleep(_RETRY_SECONDS)
                self._changed.set()
            async with self._settled:
                self._settled.notify_all()

    async def _reconcile(self) -> None:
        await give_service_addresses(self._client, self._world, self._service_addresses)
        await self._gateways.deploy(self._world)
        self._take_over_readiness()
        wanted = {workload.owner: workload for workload in self._world.workloads()}
        for key in [key for key in self._replicas if key[0] not in wanted]:
            self._stop(key)
        for key in [key for key, replica in self._replicas.items() if self._is_deleted(replica)]:
            self._stop(key)
        for owner in [owner for owner in self._problems if owner not in wanted]:
            del self._problems[owner]
        for workload in wanted.values():
            await self._roll_out(workload)
            await self._report(workload)
            if workload.owner.kind == "Pod":
                await add_labels(self._client, self._world, workload)
        everything = (*self._replicas.values(), *self._stopping.values())
        known = {(replica.workload.namespace, replica.name) for replica in everything}
        await remove_orphans(self._client, self._world, known)
        await self._gateways.publish(self._world)
        self._on_change()

    def _take_over_readiness(self) -> None:
        for replica in self._replicas.values():
            pod = self._world.pod(replica.workload.namespace, replica.name)
            replica.ready = replica.running and is_ready(pod)
            replica.registered = replica.registered or pod is not None
            self._notice_restarts(replica, restarts(pod))
            if replica.ready and not replica.announced:
                replica.announced = True
                seconds = (datetime.now(UTC) - replica.since).total_seconds()
                self._say(f"{replica.owner} is ready after {seconds:.1f} s")

    def _is_deleted(self, replica: ReplicaProcess) -> bool:
        """Tell whether somebody deleted the Pod, which asks for a new one in its place."""
        pod = self._world.pod(replica.workload.namespace, replica.name)
        return replica.registered and pod is None

    def _notice_restarts(self, replica: ReplicaProcess, count: int) -> None:
        """Say that a program ends again and again, less and less often."""
        if count > replica.restarts_told and count.bit_count() == 1:
            replica.restarts_told = count
            times = "" if count == 1 else f" {count} times"
            self._say(
                f"the program of {replica.owner} ended{times} and is restarted "
                f"(see: clew logs {replica.name}); it wrote:\n{replica.last_words()}"
            )

    async def _roll_out(self, workload: Workload) -> None:
        mine = self._replicas_of(workload)
        running = [Replica(name=r.name, version=r.workload.version, ready=r.ready) for r in mine]
        stopping = [name for owner, name in self._stopping if owner == workload.owner]
        plan = plan_rollout(workload, running, stopping)
        for name in plan.stop:
            self._stop((workload.owner, name))
        for name in plan.start:
            await self._start(workload, name)
        if not plan.start and all(r.version == workload.version for r in running):
            self._problems.pop(workload.owner, None)

    def _replicas_of(self, workload: Workload) -> list[ReplicaProcess]:
        return [r for (owner, _), r in self._replicas.items() if owner == workload.owner]

    async def _start(self, workload: Workload, name: str) -> None:
        replica = ReplicaProcess(
            workload, name, self._place, on_change=self._on_change, on_exit=self._agent_ended
        )
        try:
            if not is_gateway(workload.template):
                path = self._inherited.get("PATH", os.defpath)
                check_program(workload, self._images, path=path, directory=self._place.working_dir)
            await replica.prepare()
            spec = replica_spec(
                workload,
                replica.where,
                self._place,
                self._surroundings(),
                mesh=self._world.mesh(),
                take_port=self._ports.take,
            )
            since = replica.since.isoformat(timespec="seconds").replace("+00:00", "Z")
            await register_pod(self._client, self._world, workload, name, replica.address, since)
        except (CannotRun, CommandFailed, NoFreeAddress, PortTaken) as error:
            await replica.forget()
            self._set_problem(workload, str(error))
            return
        self._problems.pop(workload.owner, None)
        self._replicas[(workload.owner, name)] = replica
        self._spawn(replica.run(spec))

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            images=self._images, resources=self._world.resources, inherited=self._inherited
        )

    def _set_problem(self, workload: Workload, problem: str) -> None:
        if self._problems.get(workload.owner) != problem:
            self._problems[workload.owner] = problem
            self._say(f"{workload.owner} cannot run: {problem}")

    def _agent_ended(self, replica: ReplicaProcess, message: str) -> None:
        self._say(message)
        replica.ready = False
        namespace = replica.workload.namespace
        self._spawn(self._say_not_ready(namespace, replica.name, replica.ended))
        self._changed.set()

    async def _say_not_ready(self, namespace: str, name: str, ended: Ended | None) -> None:
        await set_not_ready(self._client, self._world, namespace, name, ended)

    async def _report(self, workload: Workload) -> None:
        mine = self._replicas_of(workload)
        counts = {
            "replicas": len(mine),
            "updatedReplicas": sum(r.workload.version == workload.version for r in mine),
            "readyReplicas": sum(r.ready for r in mine),
            "availableReplicas": sum(r.ready for r in mine),
        }
        problem = self._problems.get(workload.owner, "")
        await report_replicas(self._client, self._world, workload, counts=counts, problem=problem)

    def _stop(self, key: tuple[ResourceKey, str]) -> None:
        self._stopping[key] = self._replicas.pop(key)
        self._spawn(self._retire(key))

    async def _retire(self, key: tuple[ResourceKey, str]) -> None:
        """Stop one replica in order, and then forget it."""
        replica = self._stopping[key]
        namespace, name = replica.workload.namespace, replica.name
        await turn_clients_away(self._client, self._world, namespace, name)
        await replica.stop()
        if key[0].kind != "Pod":  # its user deleted or replaced it already
            with contextlib.suppress(Unreachable):
                await unregister_pod(self._client, namespace, name)
        await replica.forget()
        del self._stopping[key]
        self._changed.set()

    async def stop_all(self) -> None:
        """Stop every program and its proxy, then the gateways. Nothing is unregistered."""
        everything = (*self._replicas.values(), *self._stopping.values())
        gateways = [r for r in everything if is_gateway(r.workload.template)]
        sidecars = [r for r in everything if not is_gateway(r.workload.template)]
        for group in (sidecars, gateways):
            await asyncio.gather(*(replica.stop() for replica in group))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hurry(self) -> None:
        """Let what is stopping end at once."""
        for replica in (*self._replicas.values(), *self._stopping.values()):
            replica.hurry()

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
