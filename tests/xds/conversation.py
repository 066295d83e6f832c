"""A small language for xDS conversations: what the proxy says, and what it must hear back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from clew._pb.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)
from clew.model.xds import EnvoyResource, Published, ResourcesByName, TypeUrl
from clew.xds.answers import Acked, Nacked, Response
from clew.xds.delta_stream import DeltaStream
from clew.xds.sotw_stream import SotwStream

Heard = list[tuple[TypeUrl, dict[str, str | None]]]


def resources(uses: Iterable[str] = (), /, **versions: str) -> ResourcesByName:
    """Resources by name, each of the given version and using the given clusters."""
    return {
        name: EnvoyResource(name, version, f"{name}={version}".encode(), frozenset(uses))
        for name, version in versions.items()
    }


class DeltaConversation:
    """One proxy and its delta stream. Answers go to the oldest response of the type."""

    def __init__(self) -> None:
        self.stream = DeltaStream()
        self.unanswered: dict[TypeUrl, list[str]] = {}

    def publish(self, published: Published) -> None:
        self.stream.publish(published)

    def subscribes(self, type_url: TypeUrl, *names: str) -> None:
        self.stream.receive(
            DeltaDiscoveryRequest(type_url=type_url, resource_names_subscribe=names)
        )

    def unsubscribes(self, type_url: TypeUrl, *names: str) -> None:
        self.stream.receive(
            DeltaDiscoveryRequest(type_url=type_url, resource_names_unsubscribe=names)
        )

    def reconnects(self, type_url: TypeUrl, *names: str, holding: Mapping[str, str]) -> None:
        self.stream.receive(
            DeltaDiscoveryRequest(
                type_url=type_url, resource_names_subscribe=names, initial_resource_versions=holding
            )
        )

    def acks(self, type_url: TypeUrl, *subscribing: str) -> Acked | Nacked | None:
        return self.stream.receive(
            DeltaDiscoveryRequest(
                type_url=type_url,
                response_nonce=self.unanswered[type_url].pop(0),
                resource_names_subscribe=subscribing,
            )
        )

    def nacks(self, type_url: TypeUrl, why: str) -> Acked | Nacked | None:
        nonce = self.unanswered[type_url].pop(0)
        request = DeltaDiscoveryRequest(type_url=type_url, response_nonce=nonce)
        request.error_detail.message = why
        return self.stream.receive(request)

    def heard(self) -> Heard:
        """What the proxy hears now: per response, the new version by name (None: removed)."""
        said: Heard = []
        while (response := self.stream.poll()) is not None:
            self.unanswered.setdefault(response.type_url, []).append(response.nonce)
            said.append((response.type_url, decoded(response)))
        return said

    def heard_and_acked(self) -> Heard:
        """The same until nothing more comes, with the proxy accepting everything."""
        said: Heard = []
        while heard := self.heard():
            said += heard
            for type_url, _ in heard:
                self.acks(type_url)
        return said


def decoded(response: Response) -> dict[str, str | None]:
    """The versions by name that a delta response says, after checking it against its summary."""
    message = DeltaDiscoveryResponse.FromString(response.body)
    assert (message.type_url, message.nonce) == (response.type_url, response.nonce)
    assert all(resource.resource.type_url == response.type_url for resource in message.resources)
    names = [r.name for r in message.resources] + list(message.removed_resources)
    assert len(names) == len(set(names)), "a name may occur once in a response"
    versions: dict[str, str | None] = {r.name: r.version for r in message.resources}
    for resource in message.resources:
        assert resource.resource.value.decode() == f"{resource.name}={resource.version}"
    versions |= dict.fromkeys(message.removed_resources)
    assert versions == response.versions
    return versions


class SotwConversation:
    """One client and its state-of-the-world stream; remembers what it asks for."""

    def __init__(self) -> None:
        self.stream = SotwStream()
        self.nonces: dict[TypeUrl, str] = {}
        self.names: dict[TypeUrl, tuple[str, ...]] = {}
        self.versions: dict[TypeUrl, str] = {}

    def publish(self, published: Published) -> None:
        self.stream.publish(published)

    def subscribes(self, type_url: TypeUrl, *names: str, version: str = "") -> None:
        """Ask for exactly these names; ``version`` is what a reconnecting client has."""
        self.names[type_url] = names
        self.stream.receive(
            DiscoveryRequest(
                type_url=type_url,
                resource_names=names,
                version_info=version or self.versions.get(type_url, ""),
                response_nonce=self.nonces.get(type_url, ""),
            )
        )

    def acks(self, type_url: TypeUrl) -> Acked | Nacked | None:
        return self.stream.receive(self._answer(type_url))

    def nacks(self, type_url: TypeUrl, why: str) -> Acked | Nacked | None:
        request = self._answer(type_url)
        request.error_detail.message = why
        return self.stream.receive(request)

    def _answer(self, type_url: TypeUrl) -> DiscoveryRequest:
        return DiscoveryRequest(
            type_url=type_url,
            resource_names=self.names[type_url],
            version_info=self.versions[type_url],
            response_nonce=self.nonces[type_url],
        )

    def heard(self) -> list[tuple[TypeUrl, dict[str, str]]]:
        said = []
        while (response := self.stream.poll()) is not None:
            message = DiscoveryResponse.FromString(response.body)
            assert (message.type_url, message.nonce) == (response.type_url, response.nonce)
            self.nonces[response.type_url] = message.nonce
            self.versions[response.type_url] = message.version_info
            pairs = [resource.value.decode().split("=") for resource in message.resources]
            versions = {pair[0]: pair[1] for pair in pairs}
            assert len(pairs) == len(versions)
            assert versions == response.versions
            said.append((response.type_url, versions))
        return said

    def heard_and_acked(self) -> list[tuple[TypeUrl, dict[str, str]]]:
        said = []
        while heard := self.heard():
            said += heard
            for type_url, _ in heard:
                self.acks(type_url)
        return said
