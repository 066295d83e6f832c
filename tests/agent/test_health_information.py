from __future__ import annotations

import asyncio

import msgspec

from clew.agent.conditions import Conditions
from clew.agent.health_information import health_request, problem
from clew.agent.spec import AppSpec
from clew.model.pod import Probe, TCPSocketAction
from clew.model.xds import HEALTH_INFORMATION
from tests.agent.specs import SPEC
from tests.agent.test_node import read_back

MEMBER = msgspec.structs.replace(
    SPEC,
    auto_register_group="vm",
    app=AppSpec(command=("a",), readiness=Probe(tcp_socket=TCPSocketAction(port=9080))),
)


def test_the_workload_is_healthy_while_proxy_and_program_are() -> None:
    async def scenario() -> None:
        conditions = Conditions()
        assert "proxy" in problem(conditions)
        await conditions.set_envoy_ready(True)
        assert "health check" in problem(conditions)
        await conditions.set_app_ready(True)
        assert problem(conditions) == ""
        await conditions.stop()
        assert "stopping" in problem(conditions)

    asyncio.run(scenario())


def test_a_report_is_a_request_with_an_error_when_there_is_a_problem() -> None:
    ill = health_request(MEMBER, "connection refused")
    assert ill.type_url == HEALTH_INFORMATION == "type.googleapis.com/istio.v1.HealthInformation"
    assert (ill.error_detail.code, ill.error_detail.message) == (500, "connection refused")
    assert not health_request(MEMBER, "").HasField("error_detail")
    assert ill.node.id.startswith("sidecar~10.0.0.7~")


def test_the_control_plane_reads_back_which_group_is_joined_and_whether_health_is_checked() -> None:
    proxy = read_back(MEMBER)
    assert (proxy.auto_register_group, proxy.health_checked) == ("vm", True)
    unchecked = msgspec.structs.replace(MEMBER, app=AppSpec(command=("a",)))
    assert not read_back(unchecked).health_checked
    assert (read_back(SPEC).auto_register_group, read_back(SPEC).health_checked) == ("", False)
