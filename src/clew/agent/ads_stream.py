"""A delta ADS stream of the agent's own to the control plane, through the workload's Envoy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from clew._pb.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
)
from clew.agent.bootstrap import CONTROL_PLANE_SOCKET
from clew.agent.spec import AgentSpec

_METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
_LONGEST_MESSAGE = 64 * 1024 * 1024


@asynccontextmanager
async def ads_stream(spec: AgentSpec) -> AsyncIterator[Any]:
    """Open a stream; Envoy authenticates both sides. Raises: grpc.aio.AioRpcError."""
    target = f"unix:{Path(spec.directory, CONTROL_PLANE_SOCKET)}"
    options = [
        ("grpc.max_receive_message_length", _LONGEST_MESSAGE),
        ("grpc.default_authority", "istiod.istio-system.svc"),
        # A channel lives as long as its stream; sharing would keep a dead connection's backoff.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        yield channel.stream_stream(
            _METHOD,
            request_serializer=DeltaDiscoveryRequest.SerializeToString,
            response_deserializer=DeltaDiscoveryResponse.FromString,
        )()
