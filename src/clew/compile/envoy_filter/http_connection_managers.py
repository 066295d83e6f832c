"""Patches to HTTP filters, and to the routes that a connection manager carries itself."""

from __future__ import annotations

from collections.abc import Sequence

from clew._pb.envoy.config.listener.v3.listener_components_pb2 import Filter
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew.compile.envoy_filter.anchors import http_place, with_http_anchors, without_anchors
from clew.compile.envoy_filter.filters import patch_filters
from clew.compile.envoy_filter.matches import (
    Surroundings,
    http_filter_name,
    network_filter_name,
    same_filter,
)
from clew.compile.envoy_filter.patches import Applied, Patch, Patches, of_kinds
from clew.compile.envoy_filter.routes import KINDS, patch_routes
from clew.compile.typed_config import typed_config
from clew.model.envoy_filter import PatchContext

HttpConnectionManager = hcm_pb2.HttpConnectionManager


def patch_manager(
    manager: Filter,
    patches: Sequence[Patch],
    every: Patches,
    context: PatchContext,
    where: Surroundings,
    applied: Applied,
) -> None:
    """Apply those of the HTTP filter patches of a chain that are meant for this network filter.

    Of ``every`` patch, those to routes apply to an inbound manager, which carries its own.
    """
    meant = [
        p for p in patches if same_filter(network_filter_name(p) or manager.name, manager.name)
    ]
    routed = context is PatchContext.SIDECAR_INBOUND and of_kinds(every, KINDS)
    if not manager.HasField("typed_config") or not (meant or routed):
        return
    inside = HttpConnectionManager()
    if not manager.typed_config.Unpack(inside):
        return
    if meant:
        before = with_http_anchors(inside.http_filters, context)
        after = without_anchors(patch_filters(before, meant, http_filter_name, http_place, applied))
        copies = [type(each).FromString(each.SerializeToString()) for each in after]
        inside.ClearField("http_filters")
        inside.http_filters.extend(copies)
    if routed and inside.HasField("route_config"):
        patch_routes(inside.route_config, every, context, where, applied)
    manager.typed_config.CopyFrom(typed_config(inside))
