"""What listeners log of connections that never become requests."""

from __future__ import annotations

import pytest

from clew._pb.envoy.config.accesslog.v3.accesslog_pb2 import AccessLog
from clew._pb.envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from clew._pb.envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter
from clew.compile.access_log import compile_listener_access_log
from clew.model.mesh_config import AccessLogEncoding, MeshConfig


def test_a_mesh_without_an_access_log_has_none() -> None:
    assert compile_listener_access_log(MeshConfig()) == ()
    quiet = MeshConfig(access_log_file="/dev/stdout", disable_envoy_listener_log=True)
    assert compile_listener_access_log(quiet) == ()


def test_connections_that_no_chain_takes_are_logged_as_requests_are() -> None:
    unmatched, _ = compile_listener_access_log(MeshConfig(access_log_file="/a"))
    assert list(unmatched.filter.response_flag_filter.flags) == ["NR"]


@pytest.mark.parametrize("encoding", AccessLogEncoding)
def test_failed_handshakes_are_logged_with_the_reason_and_the_peer(
    encoding: AccessLogEncoding,
) -> None:
    mesh = MeshConfig(access_log_file="/var/log/a", access_log_encoding=encoding)
    _, failed = compile_listener_access_log(mesh)
    expression, log = ExpressionFilter(), FileAccessLog()
    assert failed.filter.extension_filter.typed_config.Unpack(expression)
    assert expression.expression == ("connection.transport_failure_reason.startsWith('TLS_error:')")
    assert failed.typed_config.Unpack(log)
    assert log.path == "/var/log/a"
    line = _line(failed)
    for what in ("DOWNSTREAM_TRANSPORT_FAILURE_REASON", "DOWNSTREAM_PEER_URI_SAN"):
        assert f"%{what}%" in line


def _line(log: AccessLog) -> str:
    file = FileAccessLog()
    log.typed_config.Unpack(file)
    return str(file.log_format.json_format) + file.log_format.text_format_source.inline_string
