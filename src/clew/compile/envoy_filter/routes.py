"""Patches to route configurations, their virtual hosts and routes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from clew._pb.envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew.compile.envoy_filter.matches import (
    Surroundings,
    is_route,
    is_route_configuration,
    is_virtual_host,
    names_route,
)
from clew.compile.envoy_filter.merge import merge
from clew.compile.envoy_filter.patches import Applied, Patch, Patches, in_context
from clew.model.envoy_filter import ApplyTo, PatchContext, PatchOperation

KINDS = (ApplyTo.ROUTE_CONFIGURATION, ApplyTo.VIRTUAL_HOST, ApplyTo.HTTP_ROUTE)


def patch_routes(
    routes: RouteConfiguration,
    patches: Patches,
    context: PatchContext,
    where: Surroundings,
    applied: Applied,
) -> None:
    """Apply the patches that are meant for this route configuration.

    Source: istio ``patchRouteConfiguration``.
    """
    name = routes.name

    def meant(kind: ApplyTo) -> list[Patch]:
        found = in_context(patches, kind, context)
        return [patch for patch in found if is_route_configuration(patch, name, context, where)]

    for patch in meant(ApplyTo.ROUTE_CONFIGURATION):
        if patch.merges and patch.value is not None:
            merge(routes, patch.value, replace_lists=patch.replaces_lists)
            applied[patch.key] += 1
    on_hosts, on_routes = meant(ApplyTo.VIRTUAL_HOST), meant(ApplyTo.HTTP_ROUTE)
    if on_hosts:
        _patch_hosts(routes, on_hosts, applied)
    for host in routes.virtual_hosts:
        here = [patch for patch in on_routes if is_virtual_host(patch, host)]
        if here:
            _patch_host_routes(host, here, applied)


def _patch_hosts(routes: RouteConfiguration, patches: Sequence[Patch], applied: Applied) -> None:
    kept = []
    for host in routes.virtual_hosts:
        patched = _patched_host(host, patches, applied)
        if patched is not None:
            kept.append(VirtualHost.FromString(patched.SerializeToString()))
    for patch in patches:
        if patch.operation is PatchOperation.ADD and isinstance(patch.value, VirtualHost):
            kept.append(patch.value)
            applied[patch.key] += 1
    routes.ClearField("virtual_hosts")
    routes.virtual_hosts.extend(kept)


def _patched_host(
    host: VirtualHost, patches: Sequence[Patch], applied: Applied
) -> VirtualHost | None:
    """Return the virtual host after its patches, None if one removes it."""
    for patch in patches:
        if not is_virtual_host(patch, host):
            continue
        if patch.operation is PatchOperation.REMOVE:
            applied[patch.key] += 1
            return None
        if patch.operation is PatchOperation.REPLACE and isinstance(patch.value, VirtualHost):
            host.CopyFrom(patch.value)
            applied[patch.key] += 1
        elif patch.merges and patch.value is not None:
            merge(host, patch.value, replace_lists=patch.replaces_lists)
            applied[patch.key] += 1
    return host


def _patch_host_routes(host: VirtualHost, patches: Sequence[Patch], applied: Applied) -> None:
    """First what changes routes, then what adds some. Source: istio ``patchHTTPRoutes``."""
    kept = [route for route in host.routes if not _route_removed(route, patches, applied)]
    for patch in patches:
        place = _route_place(kept, patch)
        if place is not None and isinstance(patch.value, Route):
            kept.insert(place, patch.value)
            applied[patch.key] += 1
    copies = [Route.FromString(route.SerializeToString()) for route in kept]
    host.ClearField("routes")
    host.routes.extend(copies)


def _route_removed(route: Route, patches: Iterable[Patch], applied: Applied) -> bool:
    """Merge the patches that are meant for a route; True if one of them removes it."""
    for patch in patches:
        if not is_route(patch, route):
            continue
        if patch.operation is PatchOperation.REMOVE:
            applied[patch.key] += 1
            return True
        if patch.merges and patch.value is not None:
            merge(route, patch.value, replace_lists=patch.replaces_lists)
            applied[patch.key] += 1
    return False


def _route_place(routes: Sequence[Route], patch: Patch) -> int | None:
    """Return the index at which the value belongs; None if the patch adds no route here."""
    found = next((i for i, route in enumerate(routes) if is_route(patch, route)), None)
    match patch.operation:
        case PatchOperation.ADD:
            return len(routes)
        case PatchOperation.INSERT_FIRST | PatchOperation.INSERT_BEFORE:
            return found if names_route(patch) else 0
        case PatchOperation.INSERT_AFTER:
            if not names_route(patch):
                return len(routes)
            return None if found is None else found + 1
        case _:
            return None
