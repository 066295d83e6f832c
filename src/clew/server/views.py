"""The parts of the admin API that look at the mesh as a whole, as the console shows it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from clew.api.differences import differences
from clew.api.messages import Key, finding, key_message
from clew.api.views import (
    KindItem,
    KindList,
    Overview,
    RecentChange,
    RecentChanges,
    Reference,
    References,
    ServiceList,
    ServiceView,
)
from clew.model.base import ResourceKey
from clew.model.diagnostic import Diagnostic
from clew.model.kinds import KINDS, kind_of
from clew.model.secret import Secret
from clew.server.certificates import certificates, first_to_end
from clew.server.directory import Directory
from clew.server.endpoint_views import endpoint_views, subset_views
from clew.server.events import events
from clew.server.overview import counts, troubles, worst_first
from clew.server.policy_views import mutual_tls_modes, policy_views
from clew.server.proxies import ConnectedProxy
from clew.server.proxy_views import proxy_detail, resource_as_json
from clew.server.replies import CORE_GROUP, BadRequest, key_of, number, reply, text_of
from clew.server.schema import kind_schema
from clew.server.service_views import (
    find_service,
    route_tables,
    service_summaries,
    service_summary,
)
from clew.server.standing import has_standing
from clew.server.troubles_now import TroublesNow
from clew.snapshot.links import links
from clew.snapshot.objects import objects_of
from clew.snapshot.snapshot import MeshSnapshot
from clew.stores.store import NotFound, RecentEntry, Store

_RECENT = 20
_MOST_RECENT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshViews:
    """Its routes. Everything is worked out when somebody asks.

    ``reported``: what is wrong by what proxies report and by the clock.
    """

    store: Store
    directory: Directory
    now: Callable[[], datetime]
    problems: Callable[[], Sequence[Diagnostic]] = tuple
    reported: TroublesNow

    def routes(self) -> list[Route]:
        one = "/v1/objects/{group}/{kind}/{namespace}/{name}/references"
        resource = "/v1/proxies/{node}/resources/{type}/{name:path}"
        views: dict[str, Any] = {
            "/v1/overview": self.overview,
            "/v1/changes": self.changes,
            "/v1/kinds": self.kinds,
            "/v1/schema/{group}/{kind}": self.schema,
            one: self.references,
            "/v1/services": self.services,
            "/v1/services/{namespace}/{host}": self.service,
            "/v1/proxies/{node}": self.proxy,
            resource: self.proxy_resource,
            "/v1/events": self.events,
        }
        return [Route(path, view, methods=["GET"]) for path, view in views.items()]

    @property
    def _snapshot(self) -> MeshSnapshot:
        return self.directory.publisher.snapshot

    async def overview(self, _request: Request) -> Response:
        revision, objects = await self.store.list()
        by_key = {stored.key: stored for stored in objects}
        kinds: dict[str, int] = {}
        for key in by_key:
            kinds[key.kind] = kinds.get(key.kind, 0) + 1
        proxies = self.directory.status()
        noteworthy = sorted(self.directory.noteworthy() & by_key.keys())
        wrong = troubles(
            standings=[self.directory.standing(by_key[key]) for key in noteworthy],
            problems=[(finding(each), _known(each, by_key)) for each in self.problems()],
            proxies=proxies,
            now=self.now(),
            refusals=self.directory.refusals(),
            snapshot=self._snapshot,
        )
        found = Overview(
            revision=revision,
            root_namespace=self._snapshot.mesh.root_namespace,
            troubles=worst_first((*wrong, *self.reported())),
            proxies=counts(proxies),
            objects=dict(sorted(kinds.items())),
            changes=await self._recent(_RECENT),
            certificates=certificates(objects_of(Secret, self._snapshot.objects), self.now()),
            proxy_certificates=first_to_end(proxies, self.now()),
        )
        return reply(found)

    async def changes(self, request: Request) -> Response:
        limit = min(number(request, "limit") or 100, _MOST_RECENT)
        return reply(RecentChanges(items=await self._recent(limit)))

    async def _recent(self, limit: int) -> tuple[RecentChange, ...]:
        return tuple([await self._change(each) for each in await self.store.recent(limit)])

    async def _change(self, recent: RecentEntry) -> RecentChange:
        entry, stored = recent.entry, await self.store.get(recent.key)
        newest = stored is not None and stored.resource.metadata.generation == _generation(recent)
        standing = None
        if stored is not None and newest and has_standing(recent.key):
            standing = self.directory.standing(stored)
        both = entry.manifest is not None and recent.before is not None
        return RecentChange(
            key=key_message(recent.key),
            revision=entry.revision,
            at=entry.at,
            author=entry.author,
            action=entry.action,
            differences=tuple(differences(recent.before or {}, entry.manifest or {}))
            if both and recent.key.kind != "Secret"
            else (),
            state=standing.state if standing is not None else "",
        )

    async def kinds(self, _request: Request) -> Response:
        items = (
            KindItem(
                group=kind.group,
                kind=kind.kind,
                plural=kind.plural,
                api_version=kind.api_versions[0],
                short_names=kind.short_names,
                namespaced=kind.namespaced,
                standing=has_standing(ResourceKey(kind.group, kind.kind, "", "")),
            )
            for kind in KINDS
        )
        return reply(KindList(items=tuple(items)))

    async def schema(self, request: Request) -> Response:
        group, name = request.path_params["group"], request.path_params["kind"]
        kind = kind_of("" if group == CORE_GROUP else group, name)
        if kind is None:
            raise BadRequest(f'there is no kind "{name}" in the group "{group}"')
        return reply(kind_schema(kind))

    async def references(self, request: Request) -> Response:
        key = key_of(request)
        known = {stored.key for stored in (await self.store.list())[1]}
        found = [link for link in links(self._snapshot) if key in (link.source, link.target)]
        return reply(
            References(
                to=tuple(
                    Reference(
                        key=key_message(each.target), field=each.field, exists=each.target in known
                    )
                    for each in found
                    if each.source == key
                ),
                by=tuple(
                    Reference(key=key_message(each.source), field=each.field)
                    for each in found
                    if each.target == key
                ),
            )
        )

    async def services(self, _request: Request) -> Response:
        return reply(ServiceList(items=tuple(service_summaries(self._snapshot))))

    async def service(self, request: Request) -> Response:
        """``from``: the namespace of the clients, by default the service's own."""
        namespace, host = request.path_params["namespace"], request.path_params["host"]
        snapshot = self._snapshot
        service = find_service(snapshot, namespace, host)
        if service is None:
            raise NotFound(f'there is no service "{host}" in the namespace {namespace}')
        clients = text_of(request, "from") or service.namespace
        stored = await self.store.get(service.source)
        standing = self.directory.standing(stored) if stored is not None else None
        return reply(
            ServiceView(
                summary=service_summary(snapshot, service),
                seen_from=clients,
                tables=route_tables(snapshot, service, clients),
                subsets=subset_views(snapshot, service, clients),
                endpoints=endpoint_views(snapshot, service, clients),
                policies=policy_views(snapshot, service, clients),
                findings=standing.findings if standing is not None else (),
                mutual_tls=mutual_tls_modes(snapshot, service),
            )
        )

    async def proxy(self, request: Request) -> Response:
        connection = self._proxy(request.path_params["node"])
        return reply(proxy_detail(connection, self.directory.publisher, self.directory.refusals()))

    async def proxy_resource(self, request: Request) -> Response:
        path = request.path_params
        connection = self._proxy(path["node"])
        published = self.directory.publisher.published_to(connection.subscriber)
        found = resource_as_json(published, path["type"], path["name"])
        if found is None:
            raise NotFound(f"{path['node']} is told of no {path['type']} resource {path['name']}")
        return reply(found)

    def _proxy(self, node: str) -> ConnectedProxy:
        if (connection := self.directory.proxy(node)) is None:
            raise NotFound(f'no proxy "{node}" is connected')
        return connection

    async def events(self, request: Request) -> Response:
        closing = request.app.state.closing
        stream = events(self.store, self.directory, self.reported.changed, closing)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


def _known(problem: Diagnostic, objects: Collection[ResourceKey]) -> Key | None:
    """The object that a problem is about, if there is one."""
    key = problem.place.resource
    return key_message(key) if key is not None and key in objects else None


def _generation(recent: RecentEntry) -> int | None:
    metadata = (recent.entry.manifest or {}).get("metadata", {})
    generation = metadata.get("generation")
    return generation if isinstance(generation, int) else None
