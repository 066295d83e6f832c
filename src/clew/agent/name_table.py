"""The mesh's host names, as the control plane streams them; the last ones stay when it is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import grpc
from google.protobuf.json_format import ParseDict

from clew._pb.envoy.config.core.v3.base_pb2 import Node
from clew._pb.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
)
from clew._pb.istio.networking.nds.v1.nds_pb2 import NameTable
from clew.agent.ads_stream import ads_stream
from clew.agent.backoff import delays
from clew.agent.bootstrap import node
from clew.agent.dns_answers import Names
from clew.agent.spec import AgentSpec
from clew.model.xds import NAME_TABLE

log = logging.getLogger("clew.agent")


class NameTables:
    """All tables received, by resource name, joined into one; no I/O.

    A delta xDS client for one type with a wildcard subscription: on a new stream it says what it
    has, so that the control plane sends only what differs.
    """

    def __init__(self) -> None:
        self.names: Names = {}
        self._tables: dict[str, dict[str, tuple[str, ...]]] = {}
        self._versions: dict[str, str] = {}

    def first_request(self, spec: AgentSpec) -> DeltaDiscoveryRequest:
        return DeltaDiscoveryRequest(
            node=ParseDict(node(spec), Node()),
            type_url=NAME_TABLE,
            resource_names_subscribe=["*"],
            initial_resource_versions=self._versions,
        )

    def receive(self, response: DeltaDiscoveryResponse) -> DeltaDiscoveryRequest:
        """Take a response over; return its acknowledgement."""
        for name in response.removed_resources:
            self._tables.pop(name, None)
            self._versions.pop(name, None)
        for resource in response.resources:
            table = NameTable.FromString(resource.resource.value)
            self._tables[resource.name] = {
                host.lower(): tuple(entry.ips) for host, entry in table.table.items()
            }
            self._versions[resource.name] = resource.version
        self.names = {
            host: addresses for table in self._tables.values() for host, addresses in table.items()
        }
        return DeltaDiscoveryRequest(type_url=NAME_TABLE, response_nonce=response.nonce)


async def follow_names(spec: AgentSpec, tables: NameTables, first: asyncio.Event) -> None:
    """Keep ``tables`` up to date until cancelled; ``first`` is set with the first answer.

    The stream goes through the workload's own Envoy, which authenticates both sides.
    """
    while True:
        for delay in delays(0.1, 10.0):
            received = False
            try:
                async for _ in _stream(spec, tables):
                    received = True
                    first.set()
            except grpc.aio.AioRpcError as error:
                log.debug("name table stream ended error=%r", error.details())
            await asyncio.sleep(delay)
            if received:
                break


async def _stream(spec: AgentSpec, tables: NameTables) -> AsyncIterator[None]:
    """Yield after each response that was taken over."""
    async with ads_stream(spec) as stream:
        await stream.write(tables.first_request(spec))
        async for response in stream:
            await stream.write(tables.receive(response))
            yield
