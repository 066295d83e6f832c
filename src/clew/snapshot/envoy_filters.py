"""Which patches of EnvoyFilters a proxy gets, in the order in which they apply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import re2

from clew.model.base import ResourceKey, age_order
from clew.model.envoy_filter import (
    EnvoyConfigObjectMatch,
    EnvoyConfigObjectPatch,
    EnvoyFilter,
    PatchContext,
    ProxyMatch,
)
from clew.model.proxy import Proxy, ProxyType
from clew.snapshot.labels import selects
from clew.snapshot.policy_targets import is_target

# A longer expression is ignored, with a warning at admission.
_LONGEST_VERSION = 1024
_NO_MATCH = EnvoyConfigObjectMatch()

EnvoyFilters = Mapping[str, tuple[EnvoyFilter, ...]]
# An EnvoyFilter, and the index of one of its patches.
PatchKey = tuple[ResourceKey, int]


@dataclass(frozen=True, slots=True)
class SelectedPatch:
    """One entry of the ``configPatches`` of an EnvoyFilter that selects the proxy.

    ``meant``: whether its context, and what it asks of a proxy, is the proxy's.
    """

    filter: ResourceKey
    index: int
    patch: EnvoyConfigObjectPatch
    meant: bool = True

    @property
    def key(self) -> PatchKey:
        return self.filter, self.index


def index_envoy_filters(filters: Iterable[EnvoyFilter]) -> EnvoyFilters:
    """Return the EnvoyFilters of each namespace: by priority, then the oldest first."""
    found: dict[str, tuple[EnvoyFilter, ...]] = {}
    for each in sorted(filters, key=lambda f: (f.spec.priority or 0, *age_order(f))):
        namespace = each.metadata.namespace
        found[namespace] = (*found.get(namespace, ()), each)
    return found


def selected_patches(
    filters: EnvoyFilters, proxy: Proxy, root_namespace: str
) -> tuple[SelectedPatch, ...]:
    """Return the proxy's patches: those of the root namespace, then those of its own.

    Source: istio ``PushContext.EnvoyFilters``.
    """
    if not filters:
        return ()
    namespaces = dict.fromkeys((root_namespace, proxy.namespace))
    return tuple(
        SelectedPatch(each.key, index, patch, _is_meant(patch, proxy))
        for namespace in namespaces
        for each in filters.get(namespace, ())
        if _applies(each, proxy)
        for index, patch in enumerate(each.spec.config_patches)
    )


def _applies(envoy_filter: EnvoyFilter, proxy: Proxy) -> bool:
    spec, selector = envoy_filter.spec, envoy_filter.spec.workload_selector
    if spec.target_refs:
        return is_target(proxy, spec.target_refs, envoy_filter.metadata.namespace)
    return selector is None or selects(selector.labels, dict(proxy.labels))


def _is_meant(patch: EnvoyConfigObjectPatch, proxy: Proxy) -> bool:
    match = patch.match or _NO_MATCH
    return _fits(match.context, proxy) and _has(match.proxy, proxy)


def _fits(context: PatchContext | None, proxy: Proxy) -> bool:
    match context:
        case None | PatchContext.ANY:
            return True
        case PatchContext.GATEWAY:
            return proxy.type is ProxyType.ROUTER
        case PatchContext.SIDECAR_INBOUND | PatchContext.SIDECAR_OUTBOUND:
            return proxy.type is ProxyType.SIDECAR
        case PatchContext.WAYPOINT:
            return False


def _has(match: ProxyMatch | None, proxy: Proxy) -> bool:
    """Whether the proxy has the version and the metadata."""
    if match is None:
        return True
    expression = match.proxy_version
    counts = expression and len(expression) <= _LONGEST_VERSION
    if counts and not (proxy.version and _expression(expression).search(proxy.version)):
        return False
    return match.metadata.items() <= dict(proxy.metadata).items()


@cache
def _expression(text: str) -> Any:
    return re2.compile(text)
