"""Filters of Istio that stock Envoy lacks, as placeholders for patches that refer to them.

They stand where Istio has them while patches apply, and are taken out again afterwards: what a
patch puts before ``istio.stats`` is then where it would be in Istio.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from clew._pb.envoy.config.listener.v3.listener_components_pb2 import Filter
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew.compile.envoy_filter.patches import Patch
from clew.model.envoy_filter import FilterClass, PatchContext

HttpFilter = hcm_pb2.HttpFilter
F = TypeVar("F", Filter, HttpFilter)

HTTP_CONNECTION_MANAGER = "envoy.filters.network.http_connection_manager"
ROUTER = "envoy.filters.http.router"
_RBAC, _NETWORK_RBAC = "envoy.filters.http.rbac", "envoy.filters.network.rbac"
_EXCHANGE, _STATS, _ALPN = "istio.metadata_exchange", "istio.stats", "istio.alpn"
_AUTHENTICATION = ("envoy.filters.http.jwt_authn", "istio_authn")

# Source: istio's order of filters in the HTTP connection manager and in a chain.
_HTTP_ORDER = (
    _EXCHANGE,
    *_AUTHENTICATION,
    _RBAC,
    "envoy.filters.http.grpc_web",
    "envoy.filters.http.grpc_stats",
    _ALPN,
    "envoy.filters.http.fault",
    "envoy.filters.http.cors",
    _STATS,
    ROUTER,
)
_NETWORK_ORDER = (_EXCHANGE, _NETWORK_RBAC, _STATS)
# There only when a RequestAuthentication or a grpc-web port asks for them, in Istio as here.
_NEVER_PLACEHOLDERS = frozenset({"envoy.filters.http.jwt_authn", "envoy.filters.http.grpc_web"})
_PLACEHOLDERS = frozenset({*_HTTP_ORDER, *_NETWORK_ORDER}) - _NEVER_PLACEHOLDERS - {ROUTER}
# What clew has in the place of a filter of Istio.
_STANDS_FOR = {"envoy.filters.http.set_filter_state": _ALPN}
# Network filters after which none may come.
_TERMINAL = frozenset(
    f"envoy.filters.network.{name}"
    for name in (
        "http_connection_manager",
        "tcp_proxy",
        "redis_proxy",
        "thrift_proxy",
        "generic_proxy",
        "dubbo_proxy",
        "direct_response",
        "echo",
    )
)


def with_http_anchors(filters: Sequence[HttpFilter], context: PatchContext) -> list[HttpFilter]:
    inbound = context is PatchContext.SIDECAR_INBOUND
    order = tuple(name for name in _HTTP_ORDER if not (inbound and name == _ALPN))
    return _with(filters, order, HttpFilter)


def with_network_anchors(filters: Sequence[Filter]) -> list[Filter]:
    http = any(each.name == HTTP_CONNECTION_MANAGER for each in filters)
    order = _NETWORK_ORDER[:-1] if http else _NETWORK_ORDER
    return _with(filters, order, Filter)


def _with(filters: Sequence[F], order: Sequence[str], kind: type[F]) -> list[F]:
    """Return ``filters`` with a placeholder for each name of ``order`` that is not among them."""
    present = {each.name for each in filters}
    found: list[F] = []
    placed = 0
    for each in filters:
        name = _STANDS_FOR.get(each.name, each.name)
        until = len(order) if name in _TERMINAL else placed
        if name in order:
            until = max(placed, order.index(name) + 1)
        found.extend(kind(name=n) for n in _placeholders(order[placed:until], present))
        found.append(each)
        placed = until
    found.extend(kind(name=n) for n in _placeholders(order[placed:], present))
    return found


def _placeholders(names: Sequence[str], present: set[str]) -> list[str]:
    return [name for name in names if name in _PLACEHOLDERS and name not in present]


def without_anchors(filters: Sequence[F]) -> list[F]:
    return [
        each
        for each in filters
        if each.name not in _PLACEHOLDERS or each.WhichOneof("config_type") is not None
    ]


def http_place(filters: Sequence[HttpFilter], patch: Patch) -> int:
    """Where a filter is added: in its class, or in front of the router, after which none may be."""
    after = {FilterClass.AUTHN: _AUTHENTICATION, FilterClass.AUTHZ: (_RBAC,)}
    return _place(filters, patch, after, frozenset({ROUTER}))


def network_place(filters: Sequence[Filter], patch: Patch) -> int:
    after = {FilterClass.AUTHN: (_EXCHANGE,), FilterClass.AUTHZ: (_NETWORK_RBAC,)}
    return _place(filters, patch, after, _TERMINAL)


def _place(
    filters: Sequence[Filter] | Sequence[HttpFilter],
    patch: Patch,
    after: Mapping[FilterClass, tuple[str, ...]],
    terminal: frozenset[str],
) -> int:
    names = [each.name for each in filters]
    if patch.filter_class is FilterClass.STATS and _STATS in names:
        return names.index(_STATS)
    wanted = after.get(patch.filter_class, ())
    if places := [place for place, name in enumerate(names) if name in wanted]:
        return places[-1] + 1
    return next((place for place, name in enumerate(names) if name in terminal), len(names))
