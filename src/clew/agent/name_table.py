"""The mesh's host names, as the control plane streams them; the last ones stay when it is away."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from clew._pb.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse
from clew._pb.istio.networking.nds.v1.nds_pb2 import NameTable
from clew.agent.dns_answers import Names
from clew.model.xds import NAME_TABLE


class NameTables:
    """All tables received, by resource name, joined into one.

    ``known`` is set once there is a first answer.
    """

    type_url = NAME_TABLE

    def __init__(self, known: asyncio.Event | None = None) -> None:
        self.names: Names = {}
        self.known = known or asyncio.Event()
        self._tables: dict[str, dict[str, tuple[str, ...]]] = {}
        self._versions: dict[str, str] = {}

    def versions(self) -> Mapping[str, str]:
        return self._versions

    def receive(self, response: DeltaDiscoveryResponse) -> None:
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
        self.known.set()

    async def settled(self) -> None:
        """At once: whoever asks next is answered from it."""
