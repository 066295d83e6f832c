"""Whatever the order of messages, changes and refusals: the client ends with what was published."""

from __future__ import annotations

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from clew._pb.envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest, DiscoveryResponse
from clew.model.xds import CLUSTER, ENDPOINTS, LISTENER, ROUTE, EnvoyResource, TypeUrl
from clew.xds.sotw_stream import SotwStream

TYPES = (CLUSTER, ENDPOINTS, LISTENER, ROUTE)
COMPLETE = (CLUSTER, LISTENER)
NAMES = "abc"
CONTENT = st.dictionaries(
    st.sampled_from(NAMES),
    st.tuples(st.sampled_from("123"), st.frozensets(st.sampled_from(NAMES))),
)
PUBLICATIONS = st.fixed_dictionaries(dict.fromkeys(TYPES, CONTENT))
Content = dict[TypeUrl, dict[str, tuple[str, frozenset[str]]]]


class ClientAndControlPlane(RuleBasedStateMachine):
    """A client's side of state-of-the-world xDS, as plainly as possible, against our stream.

    It wants all clusters and listeners if ``wildcard``, else all types by name. It keeps routes
    and endpoints that a response leaves out, and drops clusters and listeners.
    """

    @initialize(content=PUBLICATIONS, wildcard=st.booleans())
    def start(self, content: Content, wildcard: bool) -> None:
        self.wildcard = wildcard
        self.names: dict[TypeUrl, set[str]] = {t: {"a"} for t in TYPES}
        self.holds: dict[TypeUrl, dict[str, str]] = {t: {} for t in TYPES}
        self.versions = dict.fromkeys(TYPES, "")
        self.refuses: set[str] = set()
        self.published = self.resources(content)
        self.connect(list(TYPES))

    @rule(order=st.permutations(TYPES))
    def connect(self, order: list[TypeUrl]) -> None:
        self.stream = SotwStream()
        self.to_client: deque[DiscoveryResponse] = deque()
        self.to_server: deque[DiscoveryRequest] = deque()
        self.nonces = dict.fromkeys(TYPES, "")
        self.refused: set[TypeUrl] = set()
        self.stream.publish(self.published)
        for type_url in order:
            self.say(type_url)

    def resources(self, content: Content) -> dict[TypeUrl, dict[str, EnvoyResource]]:
        return {
            type_url: {
                name: EnvoyResource(
                    name,
                    version := number + "".join(sorted(uses)),
                    f"{name}={version}".encode(),
                    uses if type_url in (LISTENER, ROUTE) else frozenset(),
                )
                for name, (number, uses) in by_name.items()
            }
            for type_url, by_name in content.items()
        }

    @rule(content=PUBLICATIONS)
    def publish(self, content: Content) -> None:
        self.published = self.resources(content)
        self.stream.publish(self.published)

    @rule(version=st.sampled_from("123"), refuse=st.booleans())
    def change_taste(self, version: str, refuse: bool) -> None:
        (self.refuses.add if refuse else self.refuses.discard)(version)

    @rule(type_url=st.sampled_from(TYPES), name=st.sampled_from(NAMES), want=st.booleans())
    def ask(self, type_url: TypeUrl, name: str, want: bool) -> None:
        if self.wants_all(type_url) or (not want and self.names[type_url] <= {name}):
            return
        if want:
            self.names[type_url].add(name)
        else:
            self.names[type_url].discard(name)
            self.holds[type_url].pop(name, None)
        self.say(type_url)

    def wants_all(self, type_url: TypeUrl) -> bool:
        return self.wildcard and type_url in COMPLETE

    def say(self, type_url: TypeUrl, error: str = "") -> None:
        request = DiscoveryRequest(
            type_url=type_url,
            resource_names=() if self.wants_all(type_url) else sorted(self.names[type_url]),
            version_info=self.versions[type_url],
            response_nonce=self.nonces[type_url],
        )
        if error:
            request.error_detail.message = error
        self.to_server.append(request)

    @rule(reads=st.integers(0, 3), writes=st.integers(0, 3))
    def server_turn(self, reads: int, writes: int) -> None:
        for _ in range(min(reads, len(self.to_server))):
            self.stream.receive(self.to_server.popleft())
        for _ in range(writes):
            if (response := self.stream.poll()) is not None:
                self.to_client.append(DiscoveryResponse.FromString(response.body))

    @rule()
    def client_turn(self) -> None:
        if not self.to_client:
            return
        response = self.to_client.popleft()
        type_url = TypeUrl(response.type_url)
        self.nonces[type_url] = response.nonce
        received = dict(r.value.decode().split("=") for r in response.resources)
        if any(version[0] in self.refuses for version in received.values()):
            self.refused.add(type_url)
            self.say(type_url, error="no")
            return
        self.refused.discard(type_url)
        wanted = {n: v for n, v in received.items() if self.wants(type_url, n)}
        self.holds[type_url] = (
            wanted if type_url in COMPLETE else {**self.holds[type_url], **wanted}
        )
        self.versions[type_url] = response.version_info
        self.say(type_url)

    def wants(self, type_url: TypeUrl, name: str) -> bool:
        return self.wants_all(type_url) or name in self.names[type_url]

    def deliver_everything(self) -> None:
        for _ in range(1000):
            self.server_turn(reads=3, writes=3)
            self.client_turn()
            if not self.to_server and not self.to_client:
                self.server_turn(reads=0, writes=1)
                if not self.to_client:
                    return
        raise AssertionError("the conversation never ends")

    def teardown(self) -> None:
        if not hasattr(self, "stream"):
            return
        self.deliver_everything()
        if self.refused:  # What was refused is only tried again once it changes.
            self.refuses = set()
            self.publish({t: {n: ("4", frozenset()) for n in NAMES} for t in TYPES})
            self.deliver_everything()
        for type_url in TYPES:
            wanted = {
                name: resource.version
                for name, resource in self.published[type_url].items()
                if self.wants(type_url, name)
            }
            holds = self.holds[type_url]
            if type_url not in COMPLETE:  # Nothing in this protocol can take these away.
                holds = {n: v for n, v in holds.items() if n in self.published[type_url]}
            if type_url == CLUSTER:  # Those stay that such a route uses.
                kept = self.used_by_routes_that_are_gone()
                holds = {n: v for n, v in holds.items() if n in wanted or n not in kept}
            assert holds == wanted
        assert self.stream.lagging() == {}

    def used_by_routes_that_are_gone(self) -> set[str]:
        gone = self.holds[ROUTE].keys() - self.published[ROUTE].keys()
        return {cluster for name in gone for cluster in self.holds[ROUTE][name][1:]}


ClientAndControlPlane.TestCase.settings = settings(
    max_examples=200, stateful_step_count=40, deadline=None
)
TestSotwStreamConverges = ClientAndControlPlane.TestCase
