"""A proxy's resources after its EnvoyFilters, and in how many places each patch applied.

Each resource is patched by itself and remembered, so a change costs what it touches. Without an
EnvoyFilter nothing here runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from google.protobuf.message import Message

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew.compile.check import listener_clusters, route_clusters
from clew.compile.envoy_filter import listeners, routes
from clew.compile.envoy_filter.clusters import added_clusters, patch_cluster
from clew.compile.envoy_filter.listeners import added_listeners, patch_listener
from clew.compile.envoy_filter.matches import Surroundings
from clew.compile.envoy_filter.patches import Applied, Patch, Patches, of_kinds, read_patches
from clew.compile.envoy_filter.routes import patch_routes
from clew.compile.memo import Memo
from clew.compile.resources import resource
from clew.model.envoy_filter import ApplyTo, PatchContext, PatchOperation
from clew.model.proxy import LocalPort
from clew.model.xds import (
    CLUSTER,
    ENDPOINTS,
    EXTENSION,
    LISTENER,
    ROUTE,
    EnvoyResource,
    Published,
    ResourcesByName,
)
from clew.snapshot.scope import GatewayScope, InboundScope, ProxyScope

_SIDECAR = (PatchContext.SIDECAR_INBOUND, PatchContext.SIDECAR_OUTBOUND)


@dataclass(frozen=True, slots=True)
class Patched:
    """A resource after its patches, None if one removed it, and how often each applied."""

    resource: EnvoyResource | None
    applied: Applied


def apply_envoy_filters(
    published: Published, scope: ProxyScope, memo: Memo
) -> tuple[Published, Applied]:
    """Return what the proxy gets instead of ``published``, and where each patch applied."""
    applied: Applied = Counter()
    if not scope.patches:
        return published, applied
    patches = memo.call(read_patches, scope.patches)
    where = memo.call(_surroundings, scope.inbound, scope.gateway, scope.outbound.local_ports)
    contexts = (PatchContext.GATEWAY,) if where.router else _SIDECAR
    after = dict(published)
    if of_kinds(patches, listeners.KINDS):
        done = _each(published[LISTENER], _listener, patches, where, memo, applied)
        after[LISTENER] = _with_added(done, _new_listeners(patches, contexts), applied)
    if of_kinds(patches, routes.KINDS):
        after[ROUTE] = _each(published[ROUTE], _routes, patches, where, memo, applied)
    if ApplyTo.CLUSTER in patches:
        done = _each(published[CLUSTER], _cluster, patches, where, memo, applied)
        after[CLUSTER] = _with_added(done, _new_clusters(patches, contexts), applied)
        after[ENDPOINTS] = _without_removed(published[ENDPOINTS], published[CLUSTER], done)
    if ApplyTo.EXTENSION_CONFIG in patches:
        after[EXTENSION] = _with_added({}, _new_extensions(patches, contexts), applied)
    return after, applied


def _surroundings(
    inbound: InboundScope | None, gateway: GatewayScope | None, local: tuple[LocalPort, ...]
) -> Surroundings:
    ports: dict[int, set[int]] = {}
    for server in gateway.servers if gateway is not None else ():
        ports.setdefault(server.server.port.number, set()).add(server.listen_port)
    for each in local:
        ports.setdefault(each.port, set()).add(each.local_port)
    hosts: dict[int, set[str]] = {}
    for port in inbound.ports if inbound is not None else ():
        services = (port.service, *port.sharing)
        hosts.setdefault(port.target_port, set()).update(each.hostname for each in services)
    return Surroundings(
        router=gateway is not None,
        listen_ports={number: frozenset(found) for number, found in ports.items()},
        inbound_hosts={number: frozenset(found) for number, found in hosts.items()},
    )


def _each(
    before: ResourcesByName,
    patch: Callable[[EnvoyResource, Patches, Surroundings], Patched],
    patches: Patches,
    where: Surroundings,
    memo: Memo,
    applied: Applied,
) -> dict[str, EnvoyResource]:
    after = {}
    for name, each in before.items():
        patched = memo.call(patch, each, patches, where)
        applied.update(patched.applied)
        if patched.resource is not None:
            after[name] = patched.resource
    return after


def _listener(before: EnvoyResource, patches: Patches, where: Surroundings) -> Patched:
    applied: Applied = Counter()
    after = patch_listener(Listener.FromString(before.body), patches, where, applied)
    uses = listener_clusters(after) if after is not None else frozenset[str]()
    return _patched(before, after, uses, applied)


def _routes(before: EnvoyResource, patches: Patches, where: Surroundings) -> Patched:
    applied: Applied = Counter()
    context = PatchContext.GATEWAY if where.router else PatchContext.SIDECAR_OUTBOUND
    after = RouteConfiguration.FromString(before.body)
    patch_routes(after, patches, context, where, applied)
    return _patched(before, after, route_clusters(after), applied)


def _cluster(before: EnvoyResource, patches: Patches, where: Surroundings) -> Patched:
    applied: Applied = Counter()
    after = patch_cluster(Cluster.FromString(before.body), patches, where, applied)
    return _patched(before, after, frozenset(), applied)


def _patched(
    before: EnvoyResource, after: Message | None, uses: frozenset[str], applied: Applied
) -> Patched:
    """Return ``before`` itself where nothing applied, so that its bytes stay as they are."""
    if after is None:
        return Patched(None, applied)
    if not applied.total():
        return Patched(before, applied)
    sources = before.sources | _sources(key for key, count in applied.items() if count)
    # A patch may name the resource anew.
    name: str = getattr(after, "name", before.name)
    return Patched(resource(name, after, uses=uses, sources=sources), applied)


def _sources(keys: Iterable[tuple[object, int]]) -> frozenset[str]:
    return frozenset(str(key[0]) for key in keys)


def _new_listeners(
    patches: Patches, contexts: tuple[PatchContext, ...]
) -> Iterator[tuple[Patch, EnvoyResource]]:
    for patch, each in added_listeners(patches, contexts):
        yield patch, _new(patch, each.name, each, listener_clusters(each))


def _new_clusters(
    patches: Patches, contexts: tuple[PatchContext, ...]
) -> Iterator[tuple[Patch, EnvoyResource]]:
    for patch, each in added_clusters(patches, contexts):
        yield patch, _new(patch, each.name, each)


def _new_extensions(
    patches: Patches, contexts: tuple[PatchContext, ...]
) -> Iterator[tuple[Patch, EnvoyResource]]:
    """Filters' configurations that Envoy asks for by name.

    Source: istio ``InsertedExtensionConfigurations``: ADD is the only operation.
    """
    for patch in patches.get(ApplyTo.EXTENSION_CONFIG, ()):
        if patch.operation is PatchOperation.ADD and any(map(patch.holds_in, contexts)):
            assert isinstance(patch.value, TypedExtensionConfig)
            yield patch, _new(patch, patch.value.name, patch.value)


def _new(
    patch: Patch, name: str, message: Message, uses: frozenset[str] = frozenset()
) -> EnvoyResource:
    return resource(name, message, uses=uses, sources=_sources([patch.key]))


def _with_added(
    before: dict[str, EnvoyResource],
    new: Iterable[tuple[Patch, EnvoyResource]],
    applied: Applied,
) -> dict[str, EnvoyResource]:
    """Return the resources with new ones added whose names are free."""
    after = dict(before)
    for patch, each in new:
        if each.name not in after:
            after[each.name] = each
            applied[patch.key] += 1
    return after


def _without_removed(
    endpoints: ResourcesByName, before: ResourcesByName, after: Mapping[str, EnvoyResource]
) -> ResourcesByName:
    removed = before.keys() - after.keys()
    if removed.isdisjoint(endpoints):
        return endpoints
    return {name: each for name, each in endpoints.items() if name not in removed}
