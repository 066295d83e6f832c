"""What Envoy's access log service tells of a request, as `clew tap` shows it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC

from clew._pb.envoy.config.core.v3.address_pb2 import Address
from clew._pb.envoy.config.core.v3.base_pb2 import RequestMethod
from clew._pb.envoy.data.accesslog.v3.accesslog_pb2 import (
    AccessLogCommon,
    HTTPAccessLogEntry,
    ResponseFlags,
)
from clew.api.tap import TapEvent
from clew.model.tap import PEER_TAG, TRACE_HEADER
from clew.server.mtls import PROXY_SUFFIX

# By the name of the field.
FLAG_FIELDS = {
    "failed_local_healthcheck": "LH",
    "no_healthy_upstream": "UH",
    "upstream_request_timeout": "UT",
    "local_reset": "LR",
    "upstream_remote_reset": "UR",
    "upstream_connection_failure": "UF",
    "upstream_connection_termination": "UC",
    "upstream_overflow": "UO",
    "no_route_found": "NR",
    "delay_injected": "DI",
    "fault_injected": "FI",
    "rate_limited": "RL",
    "unauthorized_details": "UAEX",
    "rate_limit_service_error": "RLSE",
    "downstream_connection_termination": "DC",
    "upstream_retry_limit_exceeded": "URX",
    "stream_idle_timeout": "SI",
    "invalid_envoy_request_headers": "IH",
    "downstream_protocol_error": "DPE",
    "upstream_max_stream_duration_reached": "UMSDR",
    "response_from_cache_filter": "RFCF",
    "no_filter_config_found": "NFCF",
    "duration_timeout": "DT",
    "upstream_protocol_error": "UPE",
    "no_cluster_found": "NC",
    "overload_manager": "OM",
    "dns_resolution_failure": "DF",
    "downstream_remote_reset": "DR",
}
_PROTOCOLS = {
    HTTPAccessLogEntry.HTTP10: "HTTP/1.0",
    HTTPAccessLogEntry.HTTP11: "HTTP/1.1",
    HTTPAccessLogEntry.HTTP2: "HTTP/2",
    HTTPAccessLogEntry.HTTP3: "HTTP/3",
}
_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-")
# A response that came from the application, through the proxy beside it.
_FROM_UPSTREAM = "via_upstream"

# From an address, or a proxy's name and namespace, to its workload, "" if there is none.
Workloads = Callable[[str], str]


def read_entry(
    entry: HTTPAccessLogEntry, own: str, workloads: Workloads, *, inbound: bool
) -> TapEvent | None:
    """``own``: the workload of the proxy that tells this.

    None: the caller's proxy tells of it as well, and knows no less.
    """
    common, request, response = entry.common_properties, entry.request, entry.response
    caller = _caller(common, workloads) if inbound else own
    details = response.response_code_details
    if inbound and caller and details == _FROM_UPSTREAM:
        return None
    upstream = _ip(common.upstream_remote_address)
    trace = _TRACE.match(request.request_headers.get(TRACE_HEADER, ""))
    started = common.start_time.ToDatetime(UTC)
    return TapEvent(
        at=started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        reporter="destination" if inbound else "source",
        source=caller,
        destination=own if inbound else workloads(upstream),
        method=RequestMethod.Name(request.request_method).replace("METHOD_UNSPECIFIED", ""),
        authority=request.authority,
        path=request.original_path or request.path,
        protocol=_PROTOCOLS.get(entry.protocol_version, ""),
        status=response.response_code.value,
        duration=round(_milliseconds(entry), 3),
        flags=_flags(common.response_flags),
        details=details,
        route=common.route_name,
        cluster=common.upstream_cluster,
        upstream=upstream,
        request_bytes=request.request_body_bytes,
        response_bytes=response.response_body_bytes,
        request_id=request.request_id,
        trace=trace[1] if trace else "",
    )


def _caller(common: AccessLogCommon, workloads: Workloads) -> str:
    """Whom the certificate of a proxy names, or else whose the address is."""
    names = common.custom_tags.get(PEER_TAG, "").split(",")
    named = (workloads(each.removesuffix(PROXY_SUFFIX)) for each in names if each)
    return next(filter(None, named), "") or workloads(_ip(common.downstream_direct_remote_address))


def _milliseconds(entry: HTTPAccessLogEntry) -> float:
    common = entry.common_properties
    last = "time_to_last_downstream_tx_byte"
    length = common.duration if common.HasField("duration") else getattr(common, last)
    return length.ToMicroseconds() / 1000


def _flags(flags: ResponseFlags) -> tuple[str, ...]:
    return tuple(
        FLAG_FIELDS[field.name] for field, _ in flags.ListFields() if field.name in FLAG_FIELDS
    )


def _ip(address: Address) -> str:
    return address.socket_address.address
