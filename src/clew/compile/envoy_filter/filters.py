"""Lists of filters: where a patch puts one, which one it replaces, removes or changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from clew._pb.envoy.config.listener.v3.listener_components_pb2 import Filter, ListenerFilter
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew.compile.envoy_filter.matches import same_filter
from clew.compile.envoy_filter.merge import merge_any
from clew.compile.envoy_filter.patches import Applied, Patch
from clew.model.envoy_filter import PatchOperation
from clew.model.filter_names import canonical

F = TypeVar("F", Filter, ListenerFilter, hcm_pb2.HttpFilter)


def patch_filters(
    filters: Sequence[F],
    patches: Iterable[Patch],
    name_of: Callable[[Patch], str],
    place_of: Callable[[Sequence[F], Patch], int],
    applied: Applied,
) -> list[F]:
    """Return the filters after ``patches``, first those that place filters, then those that change.

    ``name_of``: the filter that a patch names, "" if none. ``place_of``: where ADD puts one.

    Source: istio ``patchNetworkFilters`` and ``patchHTTPFilters``.
    """
    chosen = list(patches)
    found = list(filters)
    for patch in chosen:
        found = _placed(found, patch, name_of(patch), place_of, applied)
    for patch in chosen:
        found = _changed(found, patch, name_of(patch), applied)
    return found


def _placed(
    filters: list[F],
    patch: Patch,
    name: str,
    place_of: Callable[[Sequence[F], Patch], int],
    applied: Applied,
) -> list[F]:
    place = _place(filters, patch, name, place_of)
    if place is None or patch.value is None:
        return filters
    applied[patch.key] += 1
    found = list(filters)
    if patch.operation is PatchOperation.REPLACE:
        del found[place]
    # Read as the type that the list is of.
    found.insert(place, patch.value)  # type: ignore[arg-type]  # see above
    return found


def _place(
    filters: list[F],
    patch: Patch,
    name: str,
    place_of: Callable[[Sequence[F], Patch], int],
) -> int | None:
    """Return the index at which the value belongs; None if the patch does not place it."""
    named = _index(filters, name)
    match patch.operation:
        case PatchOperation.ADD:
            return place_of(filters, patch)
        case PatchOperation.INSERT_FIRST:
            return 0
        case PatchOperation.INSERT_BEFORE:
            return named if name else 0
        case PatchOperation.INSERT_AFTER:
            if not name:
                return place_of(filters, patch)
            return None if named is None else named + 1
        case PatchOperation.REPLACE:
            return named
        case _:
            return None


def _index(filters: list[F], name: str) -> int | None:
    if not name:
        return None
    places = (i for i, each in enumerate(filters) if same_filter(name, each.name))
    return next(places, None)


def _changed(filters: list[F], patch: Patch, name: str, applied: Applied) -> list[F]:
    if patch.operation is PatchOperation.REMOVE and name:
        kept = [each for each in filters if not same_filter(name, each.name)]
        applied[patch.key] += len(filters) - len(kept)
        return kept
    if patch.merges:
        for each in filters:
            if not name or same_filter(name, each.name):
                applied[patch.key] += _merged(each, patch)
    return filters


def _merged(into: Filter | ListenerFilter | hcm_pb2.HttpFilter, patch: Patch) -> bool:
    """Merge a filter's name and configuration; False if its configuration is of another type."""
    value = patch.value
    if value is None or not into.HasField("typed_config"):
        return False
    assert isinstance(value, Filter | ListenerFilter | hcm_pb2.HttpFilter)
    if value.HasField("typed_config") and not merge_any(
        into.typed_config, value.typed_config, replace_lists=patch.replaces_lists
    ):
        return False
    into.name = canonical(value.name or into.name)
    return True
