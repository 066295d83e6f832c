"""The access logger that tells the control plane of each request, while somebody watches.

It is always there, and off: to switch it on changes a value of Envoy's runtime, and no listener.
"""

from __future__ import annotations

from datetime import timedelta

from clew._pb.envoy.config.accesslog.v3.accesslog_pb2 import (
    AccessLog,
    AccessLogFilter,
    RuntimeFilter,
)
from clew._pb.envoy.config.core.v3.base_pb2 import TrafficDirection
from clew._pb.envoy.config.core.v3.config_source_pb2 import ApiVersion
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.extensions.access_loggers.grpc.v3.als_pb2 import (
    CommonGrpcAccessLogConfig,
    HttpGrpcAccessLogConfig,
)
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew._pb.envoy.type.tracing.v3.custom_tag_pb2 import CustomTag
from clew.compile.memo import Memo
from clew.compile.resources import resource
from clew.compile.typed_config import typed_config
from clew.model import names
from clew.model.tap import (
    INBOUND,
    OUTBOUND,
    PEER_FORMAT,
    PEER_TAG,
    RUNTIME_KEY,
    TRACE_HEADER,
)
from clew.model.xds import LISTENER, EnvoyResource, Published

_FLUSH = timedelta(milliseconds=200)


def with_tap(published: Published, memo: Memo) -> Published:
    """Return what a proxy gets with the logger in all that understands HTTP."""
    listeners = {name: memo.call(_listener, each) for name, each in published[LISTENER].items()}
    return {**published, LISTENER: listeners}


def _listener(before: EnvoyResource) -> EnvoyResource:
    listener = Listener.FromString(before.body)
    inbound = listener.traffic_direction == TrafficDirection.INBOUND
    chains = [*listener.filter_chains]
    if listener.HasField("default_filter_chain"):
        chains.append(listener.default_filter_chain)
    changed = False
    for each in (each for chain in chains for each in chain.filters):
        manager = hcm_pb2.HttpConnectionManager()
        if each.typed_config.Unpack(manager):
            manager.access_log.append(_LOGS[inbound])
            each.typed_config.CopyFrom(typed_config(manager))
            changed = True
    if not changed:
        return before
    return resource(before.name, listener, uses=before.uses, sources=before.sources)


def _log(log_name: str) -> AccessLog:
    config = HttpGrpcAccessLogConfig(
        common_config=CommonGrpcAccessLogConfig(
            log_name=log_name,
            transport_api_version=ApiVersion.V3,
            custom_tags=[CustomTag(tag=PEER_TAG, value=PEER_FORMAT)],
        ),
        additional_request_headers_to_log=[TRACE_HEADER],
    )
    common = config.common_config
    common.grpc_service.envoy_grpc.cluster_name = names.CONTROL_PLANE_CLUSTER
    common.buffer_flush_interval.FromTimedelta(_FLUSH)
    off = RuntimeFilter(runtime_key=RUNTIME_KEY, use_independent_randomness=True)
    off.percent_sampled.SetInParent()
    return AccessLog(
        name="envoy.access_loggers.http_grpc",
        filter=AccessLogFilter(runtime_filter=off),
        typed_config=typed_config(config),
    )


_LOGS = {True: _log(INBOUND), False: _log(OUTBOUND)}
