"""Changes mesh and load at random, and says which requests got what they should not have."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from clew.api.async_client import AsyncClient
from tests.e2e.publishing import rig as rigs
from tests.e2e.publishing.changes import BACKENDS, Step, breaking, harmless, initial
from tests.e2e.publishing.load import Clients, backends
from tests.e2e.publishing.rig import Rig
from tests.e2e.publishing.timeline import Timeline
from tests.e2e.publishing.world import Ports, Target, World, istio, manifests

_PATHS = ("/", "/a/b")
# Nothing, most of the time: changes come faster than proxies take them.
_PAUSES = (0.0, 0.0, 0.0, 0.001, 0.003, 0.01, 0.03, 0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do at random, for so long and until there were so many ``changes``.

    ``harmless`` and ``breaking``: how many hosts are changed so.
    """

    seed: int
    seconds: float
    changes: int
    harmless: int = 3
    breaking: int = 0
    kills: bool = False
    clients: int = 4


@dataclass(slots=True)
class Report:
    requests: int = 0
    changes: int = 0
    violations: list[str] = field(default_factory=list)
    rejected: int = 0
    warming: int = 0
    kills: int = 0
    complaints: list[str] = field(default_factory=list)


async def run_plan(folder: Path, plan: Plan) -> Report:
    """Change the mesh under load for as long as the plan says."""
    random = Random(plan.seed)
    async with backends(BACKENDS) as ports, rigs.running(folder) as rig:
        ports_of = Ports(ports, rig.ports["gateway"])
        driver = Driver(rig, ports_of, random, plan)
        return await driver.run()


class Driver:
    def __init__(self, rig: Rig, ports: Ports, random: Random, plan: Plan) -> None:
        self._rig, self._ports, self._random, self._plan = rig, ports, random, plan
        self._timeline = Timeline()
        self._world = World()
        self._report = Report()
        self._fronts = [
            *(f"ok{number}.test" for number in range(plan.harmless)),
            *(f"bad{number}.test" for number in range(plan.breaking)),
        ]

    async def run(self) -> Report:
        for front in self._fronts:
            self._world = initial(self._world, front)
        self._timeline.applied(self._world, time.monotonic())
        async with self._rig.client() as client:
            await self._rig.apply(client, *manifests(self._world, self._ports).values())
        await self._barrier()
        clients = Clients(self._rig.ports, [*self._targets()])
        async with clients.running(self._plan.clients):
            await self._change_for_a_while()
            await self._barrier()
            await asyncio.sleep(0.3)
        self._report.requests = len(clients.outcomes)
        self._report.violations = [*self._timeline.violations(clients.outcomes)]
        await self._look_at_proxies()
        return self._report

    def _targets(self) -> Iterator[Target]:
        for place in self._rig.ports:
            for front in self._fronts:
                yield from (Target(place, front, path) for path in _PATHS)

    async def _change_for_a_while(self) -> None:
        scripts = [
            (harmless if front.startswith("ok") else breaking)(self._random, front)
            for front in self._fronts
        ]
        end = time.monotonic() + self._plan.seconds
        # To start a control plane again may take most of the time.
        while time.monotonic() < end or self._report.changes < self._plan.changes:
            await self._do_something(scripts)

    async def _do_something(self, scripts: list[Iterator[Step]]) -> None:
        chance = self._random.random()
        if chance < 0.03:
            await self._barrier()
        elif chance < 0.05:
            await self._apply_nonsense()
        elif chance < 0.08 and self._plan.kills:
            await self._kill_server()
        else:
            # Several changes of one host at once are published together, a whole canary perhaps.
            script = self._random.choice(scripts)
            await self._step([next(script) for _ in range(self._random.choice((1, 1, 2, 3, 5)))])
            await asyncio.sleep(self._random.choice(_PAUSES))

    async def _step(self, steps: list[Step]) -> None:
        """Apply the worlds one after the other; what is only added goes in one request."""
        before = self._world
        for step in steps:
            self._world = step(self._world)
            self._timeline.applied(self._world, time.monotonic())
            self._report.changes += 1
        async with self._rig.client() as client:
            await self._send(client, before, steps)

    async def _send(self, client: AsyncClient, before: World, steps: list[Step]) -> None:
        pending: list[Mapping[str, Any]] = []
        for step in steps:
            after = step(before)
            old, new = manifests(before, self._ports), manifests(after, self._ports)
            before = after
            pending += [m for key, m in new.items() if old.get(key) != m]
            for key in old.keys() - new.keys():
                await self._flush(client, pending)
                await self._rig.delete(client, key)
        await self._flush(client, pending)

    async def _flush(self, client: AsyncClient, pending: list[Mapping[str, Any]]) -> None:
        if pending:
            assert "refused" not in await self._rig.apply(client, *pending), pending
            pending.clear()

    async def _apply_nonsense(self) -> None:
        """Objects that are refused, beside nothing else."""
        front = self._random.choice(self._fronts)
        specs: list[dict[str, Any]] = [
            {"hosts": [front], "http": [{"route": [{"destination": {}}]}]},
            {"hosts": [], "http": []},
            {"hosts": [front], "http": [{"match": [{"uri": {"regex": "("}}]}]},
        ]
        wrong = self._random.choice(specs)
        async with self._rig.client() as client:
            name = front.replace(".", "-")
            assert await self._rig.apply(client, istio("VirtualService", name, wrong)) == [
                "refused"
            ]

    async def _kill_server(self) -> None:
        await self._rig.kill_server()
        await self._rig.start_server()
        self._report.kills += 1

    async def _barrier(self) -> None:
        count = len(self._timeline.epochs)
        async with self._rig.client() as client:
            await self._rig.barrier(client)
        self._timeline.settled(count, time.monotonic())

    async def _look_at_proxies(self) -> None:
        for place in self._rig.ports:
            self._report.rejected += await self._rig.stat(place, "update_rejected$")
            self._report.warming += await self._rig.stat(place, "warming")
            self._report.complaints += self._rig.complaints(place)
