"""Patches to listeners and what is in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from clew._pb.envoy.config.core.v3.base_pb2 import TrafficDirection
from clew._pb.envoy.config.listener.v3.listener_components_pb2 import (
    Filter,
    FilterChain,
    ListenerFilter,
)
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew.compile.envoy_filter.anchors import (
    HTTP_CONNECTION_MANAGER,
    network_place,
    with_network_anchors,
    without_anchors,
)
from clew.compile.envoy_filter.filters import patch_filters
from clew.compile.envoy_filter.http_connection_managers import patch_manager
from clew.compile.envoy_filter.matches import (
    Surroundings,
    is_filter_chain,
    is_listener,
    network_filter_name,
)
from clew.compile.envoy_filter.merge import merge
from clew.compile.envoy_filter.patches import Applied, Patch, Patches, in_context
from clew.compile.envoy_filter.transport_sockets import merge_filter_chain
from clew.model.envoy_filter import ApplyTo, PatchContext, PatchOperation

Find = Callable[[ApplyTo], Iterator[Patch]]

KINDS = (
    ApplyTo.LISTENER,
    ApplyTo.FILTER_CHAIN,
    ApplyTo.NETWORK_FILTER,
    ApplyTo.HTTP_FILTER,
    ApplyTo.LISTENER_FILTER,
    # Inbound routes are not asked for by name, but written into the listener.
    ApplyTo.ROUTE_CONFIGURATION,
    ApplyTo.VIRTUAL_HOST,
    ApplyTo.HTTP_ROUTE,
)


def context_of(listener: Listener, where: Surroundings) -> PatchContext:
    if where.router:
        return PatchContext.GATEWAY
    inbound = listener.traffic_direction == TrafficDirection.INBOUND
    return PatchContext.SIDECAR_INBOUND if inbound else PatchContext.SIDECAR_OUTBOUND


def patch_listener(
    listener: Listener, patches: Patches, where: Surroundings, applied: Applied
) -> Listener | None:
    """Return the listener after its patches, itself changed; None if one removes it.

    Source: istio ``patchListener``.
    """
    context = context_of(listener, where)

    def meant(kind: ApplyTo) -> Iterator[Patch]:
        found = in_context(patches, kind, context)
        return (patch for patch in found if is_listener(patch, listener, where))

    for patch in meant(ApplyTo.LISTENER):
        if patch.operation is PatchOperation.REMOVE:
            applied[patch.key] += 1
            return None
        if patch.merges and patch.value is not None:
            merge(listener, patch.value, replace_lists=patch.replaces_lists)
            applied[patch.key] += 1
    _patch_listener_filters(listener, meant, applied)
    _patch_chains(listener, meant, applied)
    for chain in _chains(listener):
        _patch_chain_filters(listener, chain, meant, applied)
        for each in chain.filters:
            if each.name == HTTP_CONNECTION_MANAGER:
                chosen = [
                    p for p in meant(ApplyTo.HTTP_FILTER) if is_filter_chain(p, listener, chain)
                ]
                patch_manager(each, chosen, patches, context, where, applied)
    return listener


def added_listeners(
    patches: Patches, contexts: Sequence[PatchContext]
) -> Iterator[tuple[Patch, Listener]]:
    for patch in patches.get(ApplyTo.LISTENER, ()):
        if patch.operation is PatchOperation.ADD and any(map(patch.holds_in, contexts)):
            assert isinstance(patch.value, Listener)
            yield patch, patch.value


def _patch_listener_filters(listener: Listener, meant: Find, applied: Applied) -> None:
    patches = list(meant(ApplyTo.LISTENER_FILTER))
    if not patches:
        return
    before: list[ListenerFilter] = list(listener.listener_filters)
    after = patch_filters(before, patches, _listener_filter_name, _at_the_end, applied)
    _assign(listener, "listener_filters", after)


def _listener_filter_name(patch: Patch) -> str:
    return patch.listener.listener_filter


def _at_the_end(filters: Sequence[ListenerFilter], patch: Patch) -> int:
    return len(filters)


def _chains(listener: Listener) -> Iterator[FilterChain]:
    yield from listener.filter_chains
    if listener.HasField("default_filter_chain"):
        yield listener.default_filter_chain


def _patch_chains(listener: Listener, meant: Find, applied: Applied) -> None:
    """Source: istio ``patchFilterChains``."""
    patches = list(meant(ApplyTo.FILTER_CHAIN))
    if not patches:
        return
    kept = [c for c in listener.filter_chains if not _chain_removed(listener, c, patches, applied)]
    _assign(listener, "filter_chains", kept)
    if listener.HasField("default_filter_chain") and _chain_removed(
        listener, listener.default_filter_chain, patches, applied
    ):
        listener.ClearField("default_filter_chain")
    for patch in patches:
        if patch.operation is PatchOperation.ADD and isinstance(patch.value, FilterChain):
            listener.filter_chains.append(patch.value)
            applied[patch.key] += 1


def _chain_removed(
    listener: Listener, chain: FilterChain, patches: Sequence[Patch], applied: Applied
) -> bool:
    """Merge the patches that are meant for a chain; True if one of them removes it."""
    for patch in patches:
        if not is_filter_chain(patch, listener, chain):
            continue
        if patch.operation is PatchOperation.REMOVE:
            applied[patch.key] += 1
            return True
        if patch.merges and isinstance(patch.value, FilterChain):
            applied[patch.key] += merge_filter_chain(chain, patch.value, patch.replaces_lists)
    return False


def _patch_chain_filters(
    listener: Listener, chain: FilterChain, meant: Find, applied: Applied
) -> None:
    patches = [p for p in meant(ApplyTo.NETWORK_FILTER) if is_filter_chain(p, listener, chain)]
    if not patches:
        return
    before: list[Filter] = with_network_anchors(chain.filters)
    after = patch_filters(before, patches, network_filter_name, network_place, applied)
    _assign(chain, "filters", without_anchors(after))


def _assign(
    message: Listener | FilterChain,
    name: str,
    values: Sequence[Filter] | Sequence[ListenerFilter] | Sequence[FilterChain],
) -> None:
    """Make a list of the message hold exactly these."""
    copies = [type(value).FromString(value.SerializeToString()) for value in values]
    message.ClearField(name)
    getattr(message, name).extend(copies)
