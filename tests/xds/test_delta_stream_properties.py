"""Whatever the order of messages, changes and refusals: Envoy ends with what was published."""

from __future__ import annotations

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from clew._pb.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
)
from clew.model.xds import CLUSTER, ENDPOINTS, LISTENER, ROUTE, EnvoyResource, TypeUrl
from clew.xds.delta_stream import DeltaStream

TYPES = (CLUSTER, ENDPOINTS, LISTENER, ROUTE)
WILDCARD = (CLUSTER, LISTENER)
NAMES = "abc"
# Per name: a version, and for routes and listeners the clusters that it uses.
CONTENT = st.dictionaries(
    st.sampled_from(NAMES),
    st.tuples(st.sampled_from("123"), st.frozensets(st.sampled_from(NAMES))),
)
PUBLICATIONS = st.fixed_dictionaries(dict.fromkeys(TYPES, CONTENT))
Content = dict[TypeUrl, dict[str, tuple[str, frozenset[str]]]]


class EnvoyAndControlPlane(RuleBasedStateMachine):
    """Envoy's side of delta xDS, written as plainly as possible, against our stream.

    Envoy refuses the versions in ``refuses`` and applies the rest of a response of clusters or
    listeners, as it does. A version's bytes include its uses, so equal versions are equal.
    """

    @initialize(content=PUBLICATIONS)
    def start(self, content: Content) -> None:
        self.wanted: dict[TypeUrl, set[str]] = {t: set() for t in TYPES}
        self.subscribed: set[TypeUrl] = set()
        self.holds: dict[TypeUrl, dict[str, str]] = {t: {} for t in TYPES}
        self.refuses: set[str] = set()
        self.published = self.resources(content)
        self.connect()

    def connect(self) -> None:
        self.stream = DeltaStream()
        self.to_envoy: deque[DeltaDiscoveryResponse] = deque()
        self.to_server: deque[DeltaDiscoveryRequest] = deque()
        self.stream.publish(self.published)

    def resources(self, content: Content) -> dict[TypeUrl, dict[str, EnvoyResource]]:
        published = {}
        for type_url, by_name in content.items():
            published[type_url] = {
                name: EnvoyResource(name, number + "".join(sorted(uses)), b"", uses)
                if type_url in (LISTENER, ROUTE)
                else EnvoyResource(name, number, b"", frozenset())
                for name, (number, uses) in by_name.items()
            }
        return published

    @rule(content=PUBLICATIONS, say_what_changed=st.booleans())
    def publish(self, content: Content, say_what_changed: bool) -> None:
        before, self.published = self.published, self.resources(content)
        changed = {
            t: {n for n in NAMES if before[t].get(n) != self.published[t].get(n)} for t in TYPES
        }
        self.stream.publish(self.published, changed if say_what_changed else None)

    @rule(version=st.sampled_from("123"), refuse=st.booleans())
    def change_taste(self, version: str, refuse: bool) -> None:
        (self.refuses.add if refuse else self.refuses.discard)(version)

    @rule(type_url=st.sampled_from(TYPES), name=st.sampled_from((*NAMES, "*")))
    def subscribe(self, type_url: TypeUrl, name: str) -> None:
        if name == "*" and type_url not in WILDCARD:
            return
        self.wanted[type_url].add(name)
        self.say(type_url, resource_names_subscribe=[name])

    @rule(type_url=st.sampled_from(TYPES), name=st.sampled_from((*NAMES, "*")))
    def unsubscribe(self, type_url: TypeUrl, name: str) -> None:
        wanted = self.wanted[type_url]
        if name not in wanted:
            return
        wanted.discard(name)
        for held in [*self.holds[type_url]]:
            if held == name or ("*" not in wanted and held not in wanted):
                del self.holds[type_url][held]
        self.say(type_url, resource_names_unsubscribe=[name])

    def say(self, type_url: TypeUrl, **fields: object) -> None:
        self.subscribed.add(type_url)
        self.to_server.append(DeltaDiscoveryRequest(type_url=type_url, **fields))  # type: ignore[arg-type]  # by name

    @rule(order=st.permutations(TYPES))
    def reconnect(self, order: list[TypeUrl]) -> None:
        self.connect()
        for type_url in order:
            # A wildcard that was given up cannot be told from one that was never spelled out.
            if type_url in self.subscribed and self.wanted[type_url]:
                self.say(
                    type_url,
                    resource_names_subscribe=sorted(self.wanted[type_url]),
                    initial_resource_versions=self.holds[type_url],
                )

    @rule(reads=st.integers(0, 3), writes=st.integers(0, 3))
    def server_turn(self, reads: int, writes: int) -> None:
        for _ in range(min(reads, len(self.to_server))):
            self.stream.receive(self.to_server.popleft())
        for _ in range(writes):
            if (response := self.stream.poll()) is not None:
                self.to_envoy.append(DeltaDiscoveryResponse.FromString(response.body))

    @rule()
    def envoy_turn(self) -> None:
        if not self.to_envoy:
            return
        response = self.to_envoy.popleft()
        type_url = TypeUrl(response.type_url)
        names = [r.name for r in response.resources] + list(response.removed_resources)
        assert len(names) == len(set(names))
        bad = [r.name for r in response.resources if r.version[0] in self.refuses]
        by_resource = type_url in WILDCARD
        if by_resource or not bad:
            self.apply(type_url, response, bad)
        request = DeltaDiscoveryRequest(type_url=type_url, response_nonce=response.nonce)
        if bad:
            named = "".join(f" {name}: bad" for name in bad)
            request.error_detail.message = "Error" + (named if by_resource else "")
        self.to_server.append(request)

    def apply(self, type_url: TypeUrl, response: DeltaDiscoveryResponse, bad: list[str]) -> None:
        wanted = self.wanted[type_url]
        for resource in response.resources:
            if resource.name not in bad and ("*" in wanted or resource.name in wanted):
                self.holds[type_url][resource.name] = resource.version
        for name in response.removed_resources:
            self.holds[type_url].pop(name, None)

    def deliver_everything(self) -> None:
        for _ in range(1000):
            self.server_turn(reads=3, writes=3)
            self.envoy_turn()
            if not self.to_server and not self.to_envoy:
                self.server_turn(reads=0, writes=1)
                if not self.to_envoy:
                    return
        raise AssertionError("the conversation never ends")

    def teardown(self) -> None:
        if not hasattr(self, "stream"):
            return
        if not self.wanted[CLUSTER]:
            self.subscribe(CLUSTER, "*")  # Envoy always asks for clusters, if last
        self.deliver_everything()
        if any(self.stream.rejected().values()):
            # Refused versions are only tried again once they change.
            self.refuses = set()
            self.publish({t: {n: ("4", frozenset()) for n in NAMES} for t in TYPES}, False)
            self.deliver_everything()
        for type_url in TYPES:
            wanted = self.wanted[type_url]
            assert self.holds[type_url] == {
                name: resource.version
                for name, resource in self.published[type_url].items()
                if "*" in wanted or name in wanted
            }
        assert self.stream.lagging() == {}


EnvoyAndControlPlane.TestCase.settings = settings(
    max_examples=200, stateful_step_count=40, deadline=None
)
TestDeltaStreamConverges = EnvoyAndControlPlane.TestCase
