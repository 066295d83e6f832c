"""What agents are told, in tests of what they make of it."""

from __future__ import annotations

from typing import Any

import msgspec

from clew.agent.spec import AgentSpec, Capture
from clew.config.parse import parse_mesh_config

SPEC = AgentSpec(
    mesh="test",
    type="sidecar",
    name="reviews-v1-0",
    namespace="books",
    workload="reviews-v1",
    ip="10.0.0.7",
    labels={"version": "v1", "app": "reviews"},
    service_account="bookinfo-reviews",
    locality="region1/zone1",
    network="network1",
    xds="unix:/run/clew/xds.sock",
    ca="unix:/run/clew/ca.sock",
    directory="/run/clew/reviews",
)


def without_capture(**changes: Any) -> AgentSpec:
    return msgspec.structs.replace(SPEC, capture=Capture.ENV, **changes)


def with_settings(text: str) -> AgentSpec:
    settings = parse_mesh_config(f"defaultConfig: {text}")[0].default_config
    assert settings is not None
    return msgspec.structs.replace(SPEC, settings=settings)
