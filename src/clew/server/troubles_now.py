"""What is wrong now by what proxies report and by the clock, and a sign whenever that changes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial

from clew.api.views import Trouble
from clew.ca.in_force import AuthorityInForce
from clew.model.base import ResourceKey
from clew.model.proxy import Proxy
from clew.model.secret import Secret
from clew.model.service import Service
from clew.server.certificate_troubles import (
    authority_troubles,
    proxy_certificates,
    secret_certificates,
)
from clew.server.certificates import HeldCertificate, ends_soon, held_certificates
from clew.server.denials import Denier, denier
from clew.server.denied_connections import denied_connections
from clew.server.directory import Directory
from clew.server.ejections import ejections
from clew.server.overview import worst_first
from clew.server.traffic_reports import TrafficReports
from clew.server.traffic_troubles import traffic_troubles
from clew.snapshot.objects import objects_of
from clew.snapshot.snapshot import MeshSnapshot

# How far back "now" goes: what is over is not wrong any more.
NOW_SECONDS = 15.0
# Clocks are looked at so often while somebody watches.
_LOOK_SECONDS = 1.0
# It takes no more than about a fortieth of the time, however many look.
_LEAST_PAUSE, _PAUSES = 0.5, 40

_Asked = tuple[int, str, Service | None, tuple[str, str]]


class TroublesNow:
    """Called, it returns them, the worst first."""

    def __init__(
        self, reports: TrafficReports, directory: Directory, authority: AuthorityInForce
    ) -> None:
        self._reports, self._directory, self._authority = reports, directory, authority
        self._found: tuple[Trouble, ...] = ()
        self._at, self._pause = -math.inf, _LEAST_PAUSE
        # Of one snapshot: what takes long to find out, and does not change before the next one.
        self._snapshot: MeshSnapshot | None = None
        self._deniers: dict[_Asked, Denier | None] = {}
        self._held: tuple[HeldCertificate, ...] = ()

    def __call__(self) -> tuple[Trouble, ...]:
        now = self._reports.now()
        if now - self._at > self._pause:
            self._found = worst_first(dict.fromkeys(self._look(now)))
            self._at = now
            self._pause = max(_LEAST_PAUSE, (self._reports.now() - now) * _PAUSES)
        return self._found

    async def changed(self) -> None:
        """Wait until something else is wrong than was when this was called."""
        before = self()
        while self() == before:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._reports.changed(), _LOOK_SECONDS)
            await asyncio.sleep(self._pause)

    def _look(self, now: float) -> Iterator[Trouble]:
        snapshot = self._directory.publisher.snapshot
        if snapshot is not self._snapshot:
            self._snapshot, self._deniers = snapshot, {}
            self._held = tuple(held_certificates(objects_of(Secret, snapshot.objects)))
        reports = self._reports
        sums = reports.window.sums(reports.window.first_step(now, NOW_SECONDS))
        denying, denied_by = reports.denying(NOW_SECONDS), partial(self._denied_by, snapshot)
        yield from traffic_troubles(sums, denying, snapshot, denied_by, reports.proxy_of)
        yield from denied_connections(reports.denying_connections(NOW_SECONDS), snapshot)
        yield from ejections(reports.reporters, snapshot)
        proxies = ((each, reports.facts(each)) for each in self._directory.proxies())
        yield from proxy_certificates(proxies, now)
        yield from secret_certificates(self._ending(now), now)
        yield from authority_troubles(self._authority, now)

    def _denied_by(
        self,
        snapshot: MeshSnapshot,
        code: int,
        proxy: Proxy,
        service: Service | None,
        caller: tuple[str, str],
    ) -> Denier | None:
        asked = (code, proxy.node_id, service, caller)
        if asked not in self._deniers:
            self._deniers[asked] = denier(snapshot, code, proxy, service, caller)
        return self._deniers[asked]

    def _ending(self, now: float) -> Iterable[HeldCertificate]:
        """Those that end soon and that a proxy has."""
        ending = [e for e in self._held if ends_soon(e.begins.timestamp(), e.ends.timestamp(), now)]
        used = self._used() if ending else frozenset()
        return [each for each in ending if each.secret in used]

    def _used(self) -> frozenset[ResourceKey]:
        found: set[ResourceKey] = set()
        for scope in self._directory.publisher.scopes():
            served = scope.gateway.credentials if scope.gateway is not None else ()
            presented = scope.outbound.credentials.values()
            found |= {each.key for each in (*served, *presented) if isinstance(each, Secret)}
        return frozenset(found)
