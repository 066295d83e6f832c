"""A proxy that talks delta xDS with a directory, without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from clew._pb.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
)
from clew.model.proxy import Proxy, ProxyType
from clew.model.xds import CLUSTER, LISTENER, ROUTE, Published, TypeUrl
from clew.server.directory import Directory
from clew.xds.delta_stream import DeltaStream

_MANAGER = http_connection_manager_pb2.HttpConnectionManager


def router(name: str = "ingress-0") -> Proxy:
    labels = (("istio", "ingressgateway"),)
    return Proxy(
        type=ProxyType.ROUTER, name=name, namespace="default", ip="10.0.0.1", labels=labels
    )


class TalkingProxy:
    """Asks as Envoy does. Refuses resources that have ``refuses`` in them, by name as Envoy.

    It answers when it is told to; with ``eager``, as soon as the event loop lets it. ``reason``
    is what it says of a resource that it refuses.
    """

    __test__ = False

    def __init__(
        self,
        directory: Directory,
        proxy: Proxy,
        *,
        refuses: bytes = b"",
        reason: str = "refused {}: no",
        eager: bool = False,
    ) -> None:
        self.directory, self.refuses, self.eager = directory, refuses, eager
        self.reason = reason
        self.stream = DeltaStream()
        self.held: dict[tuple[str, str], bytes] = {}
        self.pushes = 0
        self._asked: set[str] = set()
        self.connection = directory.connect(proxy, self._on_publish, self.stream)
        self._say(DeltaDiscoveryRequest(type_url=CLUSTER))
        self._say(DeltaDiscoveryRequest(type_url=LISTENER))
        self._on_publish({}, None, publish=False)

    def _on_publish(
        self,
        published: Published,
        changed: Mapping[TypeUrl, AbstractSet[str]] | None,
        *,
        publish: bool = True,
    ) -> None:
        if publish:
            self.stream.publish(published, changed)
        if self.eager:
            asyncio.get_running_loop().call_soon(self.answer)

    def answer(self) -> None:
        """Take and answer whatever comes, until nothing does."""
        while (response := self.stream.poll()) is not None:
            self.pushes += 1
            message = DeltaDiscoveryResponse.FromString(response.body)
            bad = [
                r
                for r in message.resources
                if self.refuses and self.refuses in r.SerializeToString()
            ]
            for each in message.resources:
                if each not in bad:
                    self.held[response.type_url, each.name] = each.resource.value
            for name in message.removed_resources:
                self.held.pop((response.type_url, name), None)
            request = DeltaDiscoveryRequest(
                type_url=response.type_url, response_nonce=response.nonce
            )
            if bad:
                request.error_detail.message = "; ".join(self.reason.format(r.name) for r in bad)
            self._say(request)
            if response.type_url == LISTENER:
                self._ask_for_routes()

    def leave(self) -> None:
        self.directory.disconnect(self.connection)

    def _ask_for_routes(self) -> None:
        names = {
            manager.rds.route_config_name
            for (type_url, _), body in self.held.items()
            if type_url == LISTENER
            for chain in Listener.FromString(body).filter_chains
            for filter_ in chain.filters
            if filter_.typed_config.type_url.endswith(".HttpConnectionManager")
            for manager in (_MANAGER.FromString(filter_.typed_config.value),)
            if manager.HasField("rds")
        }
        if new := names - self._asked:
            self._asked |= new
            self._say(DeltaDiscoveryRequest(type_url=ROUTE, resource_names_subscribe=sorted(new)))

    def _say(self, request: DeltaDiscoveryRequest) -> None:
        verdict = self.stream.receive(request)
        if verdict is not None:
            self.directory.report(self.connection, verdict)
