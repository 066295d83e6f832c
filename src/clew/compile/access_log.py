"""MeshConfig's access log: where it goes, and each line's format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from clew._pb.envoy.config.accesslog.v3.accesslog_pb2 import (
    AccessLog,
    AccessLogFilter,
    AndFilter,
    ExtensionFilter,
    ResponseFlagFilter,
)
from clew._pb.envoy.config.core.v3.base_pb2 import DataSource
from clew._pb.envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from clew._pb.envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from clew._pb.envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter
from clew._pb.envoy.extensions.access_loggers.stream.v3.stream_pb2 import (
    StderrAccessLog,
    StdoutAccessLog,
)
from clew.compile.typed_config import typed_config
from clew.model.mesh_config import MeshConfig

TEXT_FORMAT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" '
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "
    '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% '
    '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% '
    "%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% "
    "%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)

JSON_FORMAT: Mapping[str, str] = {
    "start_time": "%START_TIME%",
    "route_name": "%ROUTE_NAME%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "authority": "%REQ(:AUTHORITY)%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%",
    "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "requested_server_name": "%REQUESTED_SERVER_NAME%",
    "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
}


# Why a peer was refused, and who it said it was.
HANDSHAKE_FORMAT = (
    '[%START_TIME%] "TLS handshake failed" %DOWNSTREAM_TRANSPORT_FAILURE_REASON% '
    "%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %REQUESTED_SERVER_NAME% "
    '"%DOWNSTREAM_PEER_URI_SAN%" %DOWNSTREAM_PEER_FINGERPRINT_256%\n'
)
HANDSHAKE_JSON_FORMAT: Mapping[str, str] = {
    "start_time": "%START_TIME%",
    "downstream_transport_failure_reason": "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "requested_server_name": "%REQUESTED_SERVER_NAME%",
    "downstream_peer_uri_san": "%DOWNSTREAM_PEER_URI_SAN%",
    "downstream_peer_fingerprint_256": "%DOWNSTREAM_PEER_FINGERPRINT_256%",
}

# The TLS inspector gives a reason, too, why plaintext is no TLS: it is ``TLS_error|…``.
_FAILURE = "connection.transport_failure_reason.startsWith('TLS_error:')"
_FAILED_HANDSHAKE = AccessLogFilter(
    extension_filter=ExtensionFilter(
        name="envoy.access_loggers.extension_filters.cel",
        typed_config=typed_config(ExpressionFilter(expression=_FAILURE)),
    )
)


def compile_access_log(mesh: MeshConfig) -> tuple[AccessLog, ...]:
    """The loggers of HTTP and TCP proxies: none unless ``accessLogFile`` is set.

    Source: Istio's ``telemetry_logging.go`` for both default formats.
    """
    if not mesh.access_log_file:
        return ()
    return (file_log(mesh.access_log_file, line_format(mesh)),)


def compile_listener_access_log(mesh: MeshConfig) -> tuple[AccessLog, ...]:
    """What a listener itself logs: connections that no filter chain takes, and those whose TLS
    handshake fails, which no filter ever sees.

    Source: Istio for the first; ``disableEnvoyListenerLog`` turns both off.
    """
    if mesh.disable_envoy_listener_log or not mesh.access_log_file:
        return ()
    unmatched = (with_condition(log, NO_CHAIN) for log in compile_access_log(mesh))
    return (*unmatched, handshake_log(mesh.access_log_file, mesh))


def handshake_log(path: str, mesh: MeshConfig) -> AccessLog:
    """The logger of a listener's failed TLS handshakes."""
    return with_condition(file_log(path, _handshake_format(mesh)), _FAILED_HANDSHAKE)


def with_condition(log: AccessLog, condition: AccessLogFilter) -> AccessLog:
    """A logger that also demands ``condition``."""
    both = AccessLog()
    both.CopyFrom(log)
    if log.HasField("filter"):
        conditions = AndFilter(filters=[condition, log.filter])
        both.filter.CopyFrom(AccessLogFilter(and_filter=conditions))
    else:
        both.filter.CopyFrom(condition)
    return both


NO_CHAIN = AccessLogFilter(response_flag_filter=ResponseFlagFilter(flags=["NR"]))


def file_log(path: str, line: SubstitutionFormatString) -> AccessLog:
    """The logger that writes a line for each request or connection to a file."""
    logger = _logger(path, line)
    return AccessLog(name=_LOGGER_NAMES[type(logger)], typed_config=typed_config(logger))


_LOGGER_NAMES: Mapping[type[Message], str] = {
    StdoutAccessLog: "envoy.access_loggers.stdout",
    StderrAccessLog: "envoy.access_loggers.stderr",
    FileAccessLog: "envoy.access_loggers.file",
}


def _logger(path: str, line: SubstitutionFormatString) -> Message:
    # The standard streams may be pipes or sockets, which cannot be opened by their path.
    match path:
        case "/dev/stdout":
            return StdoutAccessLog(log_format=line)
        case "/dev/stderr":
            return StderrAccessLog(log_format=line)
        case _:
            return FileAccessLog(path=path, log_format=line)


def text_line(text: str) -> SubstitutionFormatString:
    if not text.endswith("\n"):
        text += "\n"
    return SubstitutionFormatString(text_format_source=DataSource(inline_string=text))


def line_format(mesh: MeshConfig) -> SubstitutionFormatString:
    """Each line as MeshConfig wants it, which is Istio's format unless it says otherwise."""
    if mesh.access_log_encoding != "JSON":
        return text_line(mesh.access_log_format or TEXT_FORMAT)
    fields = _json_fields(mesh.access_log_format) or JSON_FORMAT
    return SubstitutionFormatString(json_format=ParseDict(dict(fields), Struct()))


def _handshake_format(mesh: MeshConfig) -> SubstitutionFormatString:
    if mesh.access_log_encoding != "JSON":
        return SubstitutionFormatString(
            text_format_source=DataSource(inline_string=HANDSHAKE_FORMAT)
        )
    fields = ParseDict(dict(HANDSHAKE_JSON_FORMAT), Struct())
    return SubstitutionFormatString(json_format=fields)


def _json_fields(text: str) -> dict[str, Any] | None:
    """The user's JSON format; None when there is none, or when it is not a JSON object."""
    try:
        fields = json.loads(text) if text else None
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None
