from __future__ import annotations

import pytest

from clew.agent.app import environment
from clew.agent.probes import listening_address, port_number
from clew.agent.spec import AppSpec
from tests.agent.specs import SPEC, without_capture

APP = AppSpec(command=("reviews",), env={"A": "b"}, ports={"http-web": 9080, "metrics": 9090})


def test_a_captured_program_gets_its_own_environment_only() -> None:
    assert environment(SPEC, APP) == {"A": "b"}


def test_without_capture_a_program_learns_its_proxy_and_where_to_listen() -> None:
    spec = without_capture(http_proxy_port=15080, app_ports={"9080": 31000, "9090": 31001})
    assert environment(spec, APP) == {
        "A": "b",
        "PORT": "31000",
        "PORT_HTTP_WEB": "31000",
        "PORT_METRICS": "31001",
        "HTTP_PROXY": "http://127.0.0.1:15080",
        "http_proxy": "http://127.0.0.1:15080",
        "NO_PROXY": "localhost,127.0.0.1",
        "no_proxy": "localhost,127.0.0.1",
    }


def test_what_the_user_sets_wins() -> None:
    app = AppSpec(command=("a",), env={"PORT": "1"}, ports={"http": 80})
    assert environment(without_capture(), app)["PORT"] == "1"


def test_probes_go_to_the_program_and_not_to_its_proxy() -> None:
    assert listening_address(SPEC, 9080) == ("10.0.0.7", 9080)
    assert listening_address(without_capture(app_ports={"9080": 31000}), 9080) == (
        "127.0.0.1",
        31000,
    )


def test_probes_name_ports_by_number_or_by_name() -> None:
    assert port_number(APP, 1) == 1
    assert port_number(APP, "2") == 2
    assert port_number(APP, "metrics") == 9090
    with pytest.raises(ValueError, match="no port is named 'grpc'"):
        port_number(APP, "grpc")
