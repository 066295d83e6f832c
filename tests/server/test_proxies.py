"""What a proxy's status says while it asks, answers and forgets."""

from __future__ import annotations

from typing import Any

from clew._pb.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest
from clew.model.xds import ENDPOINTS, EXTENSION, EnvoyResource, Published
from clew.server.proxies import ConnectedProxy
from clew.server.publisher import Subscriber
from clew.xds.delta_stream import DeltaStream
from tests.server.proxy import router


def published(version: str) -> Published:
    body = EnvoyResource(name="reviews", version=version, body=b"")
    return {ENDPOINTS: {"reviews": body}} if version else {}


def test_what_a_proxy_no_longer_asks_for_is_not_waited_for() -> None:
    stream = DeltaStream()
    subscriber = Subscriber(router(), lambda _published, _changed: None)
    connected = ConnectedProxy(subscriber, stream, "")

    def say(**request: Any) -> None:
        verdict = stream.receive(DeltaDiscoveryRequest(type_url=ENDPOINTS, **request))
        if verdict is not None:
            connected.report(verdict)

    def state(version: str) -> str:
        stream.publish(published(version))
        return connected.status(published(version)).types["EDS"].state

    stream.publish(published("1"))
    say(resource_names_subscribe=["reviews"])
    response = stream.poll()
    assert response is not None
    say(response_nonce=response.nonce)
    assert state("1") == "acked"
    assert state("2") == "pending"
    say(resource_names_unsubscribe=["reviews"])
    assert state("2") == "acked"
    assert state("") == "acked"


def test_a_policy_that_a_proxy_has_yet_to_take_or_refused_shows_in_its_status() -> None:
    stream = DeltaStream()
    connected = ConnectedProxy(Subscriber(router(), lambda _published, _changed: None), stream, "")
    found = {EXTENSION: {"clew.http.deny": EnvoyResource("clew.http.deny", "1", b"")}}
    stream.publish(found)
    ask = DeltaDiscoveryRequest(
        type_url=EXTENSION, resource_names_subscribe=["clew.http.deny"], response_nonce=""
    )
    stream.receive(ask)
    response = stream.poll()
    assert response is not None
    refusal = DeltaDiscoveryRequest(type_url=EXTENSION, response_nonce=response.nonce)
    refusal.error_detail.message = "no such matcher"
    verdict = stream.receive(refusal)
    assert verdict is not None
    connected.report(verdict)
    assert connected.status(found).types["ECDS"].state == "nacked"
    assert connected.status(found).types["ECDS"].error == "no such matcher"
