from __future__ import annotations

from itertools import count

from clew.agent.spec import AgentSpec
from clew.local.agents import Where
from clew.local.programs import Surroundings
from clew.local.replica_spec import replica_spec
from clew.model.mesh_config import MeshConfig
from tests.local.objects import web
from tests.local.test_agents import place

SURROUNDINGS = Surroundings(images={"acme/web": ("python", "web.py")}, resources={}, inherited={})


def spec_without_capture(protocol: str) -> AgentSpec:
    return replica_spec(
        web(("containerPort: 9000", f"containerPort: 9000, protocol: {protocol}")),
        Where(name="web-0", address="10.200.0.10", outside=False),
        place(captured=False),
        SURROUNDINGS,
        mesh=MeshConfig(),
        take_port=count(20000).__next__,
    )


def test_without_capture_only_programs_of_tcp_listen_elsewhere() -> None:
    moved, kept = spec_without_capture("TCP"), spec_without_capture("UDP")
    assert moved.app_ports == {"9000": 20000}
    assert kept.app_ports == {}
    assert kept.app is not None
    assert kept.app.env["PORT"] == "9000"
