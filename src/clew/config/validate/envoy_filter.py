"""Istio's admission rules for EnvoyFilter."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from clew.config.finding import FieldPath, Finding
from clew.config.validate.envoy_message import check_message
from clew.config.validate.scalars import check_regex
from clew.config.validate.selectors import check_target, check_workload_selector
from clew.model.envoy_filter import (
    ApplyTo,
    EnvoyConfigObjectMatch,
    EnvoyConfigObjectPatch,
    EnvoyFilter,
    FilterMatch,
    Patch,
    PatchContext,
    PatchOperation,
)
from clew.model.envoy_messages import PATCHED
from clew.model.filter_names import OLD_NAMES

_MERGES = frozenset({PatchOperation.MERGE, PatchOperation.MERGE_AND_REPLACE_LIST})
_INSERTS = frozenset(
    {PatchOperation.INSERT_BEFORE, PatchOperation.INSERT_AFTER, PatchOperation.INSERT_FIRST}
)
_ADD, _REMOVE = frozenset({PatchOperation.ADD}), frozenset({PatchOperation.REMOVE})
_REPLACE = frozenset({PatchOperation.REPLACE})
_FILTERS = frozenset({ApplyTo.NETWORK_FILTER, ApplyTo.HTTP_FILTER, ApplyTo.LISTENER_FILTER})
# What can be done with what; anything else is ignored, as in Istio.
_OPERATIONS: Mapping[ApplyTo, frozenset[PatchOperation]] = {
    ApplyTo.LISTENER: _MERGES | _ADD | _REMOVE,
    ApplyTo.FILTER_CHAIN: _MERGES | _ADD | _REMOVE,
    **dict.fromkeys(_FILTERS, _MERGES | _ADD | _REMOVE | _INSERTS | _REPLACE),
    ApplyTo.ROUTE_CONFIGURATION: _MERGES,
    ApplyTo.VIRTUAL_HOST: _MERGES | _ADD | _REMOVE | _REPLACE,
    ApplyTo.HTTP_ROUTE: _MERGES | _ADD | _REMOVE | _INSERTS,
    ApplyTo.CLUSTER: _MERGES | _ADD | _REMOVE,
    ApplyTo.EXTENSION_CONFIG: _ADD,
    ApplyTo.BOOTSTRAP: _MERGES,
}
_NO_CONFIG = "the patch is left out, for Envoy would refuse everything around it"
_WHOLE = frozenset({ApplyTo.LISTENER, ApplyTo.FILTER_CHAIN})
# By what, of a proxy's configuration, an object of each kind can be found.
_MATCHED_BY: Mapping[ApplyTo, str] = {
    **dict.fromkeys((*_WHOLE, ApplyTo.NETWORK_FILTER, ApplyTo.HTTP_FILTER), "listener"),
    **dict.fromkeys(
        (ApplyTo.ROUTE_CONFIGURATION, ApplyTo.VIRTUAL_HOST, ApplyTo.HTTP_ROUTE),
        "routeConfiguration",
    ),
    ApplyTo.CLUSTER: "cluster",
}
_HTTP_CONNECTION_MANAGERS = frozenset(
    {"envoy.filters.network.http_connection_manager", "envoy.http_connection_manager"}
)


def validate_envoy_filter(resource: EnvoyFilter) -> Iterator[Finding]:
    spec = resource.spec
    yield from check_workload_selector(spec.workload_selector)
    if spec.workload_selector is not None and spec.target_refs:
        yield Finding(("spec",), "set only one of workloadSelector and targetRefs")
    for index, target in enumerate(spec.target_refs):
        yield from check_target(target, ("spec", "targetRefs", index))
    for index, patch in enumerate(spec.config_patches):
        yield from _check_patch(patch, ("spec", "configPatches", index))


def _check_patch(patch: EnvoyConfigObjectPatch, path: FieldPath) -> Iterator[Finding]:
    if patch.apply_to in (None, ApplyTo.INVALID):
        yield Finding((*path, "applyTo"), "it is missing what this patch applies to")
        return
    if patch.patch is None:
        yield Finding((*path, "patch"), "the patch is missing")
    elif patch.patch.operation in (None, PatchOperation.INVALID):
        yield Finding((*path, "patch", "operation"), "the operation is missing")
    elif patch.patch.operation is not PatchOperation.REMOVE and patch.patch.value is None:
        yield Finding((*path, "patch", "value"), "the value is missing")
    elif patch.apply_to is not None:
        yield from _check_value(patch.apply_to, patch.patch, (*path, "patch"))
    if patch.match is not None:
        yield from _check_match(patch.match, patch.apply_to, (*path, "match"))


def _check_value(apply_to: ApplyTo, patch: Patch, path: FieldPath) -> Iterator[Finding]:
    if patch.operation not in _OPERATIONS[apply_to]:
        problem = f"{patch.operation} changes nothing of what applyTo: {apply_to} is about"
        yield Finding((*path, "operation"), problem, f"one of {_listed(apply_to)}", True)
    if patch.operation is PatchOperation.REMOVE or patch.value is None:
        return
    yield from check_message(PATCHED[apply_to], patch.value, (*path, "value"))
    if apply_to in _FILTERS:
        yield from _check_filter_value(patch, (*path, "value"))


def _listed(apply_to: ApplyTo) -> str:
    return ", ".join(sorted(_OPERATIONS[apply_to]))


def _check_filter_value(patch: Patch, path: FieldPath) -> Iterator[Finding]:
    value = patch.value or {}
    yield from _check_old_name(str(value.get("name", "")), (*path, "name"))
    configured = ("typed_config", "typedConfig", "config_discovery", "configDiscovery")
    if patch.operation not in _MERGES and not any(key in value for key in configured):
        yield Finding(path, "the typed_config of the filter is missing", _NO_CONFIG, True)


def _check_match(
    match: EnvoyConfigObjectMatch, apply_to: ApplyTo | None, path: FieldPath
) -> Iterator[Finding]:
    if (match.context is PatchContext.WAYPOINT) != (match.waypoint is not None):
        yield Finding(path, "waypoint and context: WAYPOINT belong together")
    objects = {
        "listener": match.listener,
        "routeConfiguration": match.route_configuration,
        "cluster": match.cluster,
        "waypoint": match.waypoint,
    }
    given = [name for name, value in objects.items() if value is not None]
    if len(given) > 1:
        yield Finding(path, "listener, routeConfiguration, cluster and waypoint exclude each other")
    wanted = _MATCHED_BY.get(apply_to) if apply_to is not None else None
    for name in given:
        if wanted not in (None, name) and name != "waypoint":
            yield Finding((*path, name), f"applyTo: {apply_to} is matched by {wanted}")
    if match.proxy is not None and match.proxy.proxy_version:
        # Istio takes a long expression here, with a warning.
        for finding in check_regex(match.proxy.proxy_version, (*path, "proxy", "proxyVersion")):
            yield dataclasses.replace(finding, warning=len(match.proxy.proxy_version) > 1024)
    chain = match.listener.filter_chain if match.listener is not None else None
    if chain is not None and chain.filter is not None:
        at = (*path, "listener", "filterChain", "filter")
        yield from _check_filter(chain.filter, apply_to, at)


def _check_filter(
    match: FilterMatch, apply_to: ApplyTo | None, path: FieldPath
) -> Iterator[Finding]:
    if not match.name:
        yield Finding((*path, "name"), "the name of the filter is missing")
    if apply_to in _WHOLE:
        yield Finding(path, f"a filter has no effect on applyTo: {apply_to}", warning=True)
    yield from _check_old_name(match.name, (*path, "name"))
    if match.sub_filter is None:
        return
    at = (*path, "subFilter")
    if apply_to is not ApplyTo.HTTP_FILTER:
        yield Finding(at, "only applyTo: HTTP_FILTER has filters inside a filter")
    elif match.name not in _HTTP_CONNECTION_MANAGERS:
        yield Finding(at, "only the HTTP connection manager has filters inside")
    if not match.sub_filter.name:
        yield Finding((*at, "name"), "the name of the filter is missing")
    yield from _check_old_name(match.sub_filter.name, (*at, "name"))


def _check_old_name(name: str, path: FieldPath) -> Iterator[Finding]:
    if name in OLD_NAMES:
        yield Finding(path, f'"{name}" is an old name', OLD_NAMES[name], warning=True)
