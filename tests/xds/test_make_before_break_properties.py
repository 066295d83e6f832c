"""Whatever is published, acknowledged late or refused: no route or listener that a proxy has names
a cluster that it lacks, unless the configuration itself does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from clew._pb.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
)
from clew.model.xds import CLUSTER, ENDPOINTS, LISTENER, ROUTE, EnvoyResource, TypeUrl
from clew.xds.delta_stream import DeltaStream

TYPES = (CLUSTER, ENDPOINTS, LISTENER, ROUTE)
CLUSTERS, USERS = "abcd", "xy"
# Clusters with the versions of themselves and of their endpoints; routes and listeners with
# what they use.
WORLDS = st.fixed_dictionaries(
    {
        CLUSTER: st.dictionaries(st.sampled_from(CLUSTERS), st.sampled_from("12")),
        ENDPOINTS: st.fixed_dictionaries(dict.fromkeys(CLUSTERS, st.sampled_from("12"))),
        LISTENER: st.dictionaries(st.sampled_from(USERS), st.frozensets(st.sampled_from(CLUSTERS))),
        ROUTE: st.fixed_dictionaries(
            dict.fromkeys(USERS, st.frozensets(st.sampled_from(CLUSTERS)))
        ),
    }
)
World = Mapping[TypeUrl, Mapping[str, object]]
Published = dict[TypeUrl, dict[str, EnvoyResource]]


def published_of(world: World) -> Published:
    """Endpoints exist for clusters only. A version tells everything, as a hash of bytes would; that
    of endpoints tells the version of their cluster, as the compiler makes it.
    """
    found: Published = {}
    for type_url, by_name in world.items():
        found[type_url] = {}
        for name, value in by_name.items():
            if type_url == ENDPOINTS and name not in world[CLUSTER]:
                continue
            uses = value if isinstance(value, frozenset) else frozenset[str]()
            text = value if isinstance(value, str) else "uses" + "".join(sorted(uses))
            if type_url == ENDPOINTS:
                text += f"-{world[CLUSTER][name]}"
            found[type_url][name] = EnvoyResource(name, text, b"", uses)
    return found


@dataclass
class Proxy:
    """Envoy's side: takes responses in order; a cluster serves once it has its endpoints."""

    holds: dict[TypeUrl, dict[str, str]] = field(
        default_factory=lambda: {type_url: {} for type_url in TYPES}
    )
    endpoints_wanted: set[str] = field(default_factory=set)
    serving: set[str] = field(default_factory=set)  # clusters that have been warm once
    warming: set[str] = field(default_factory=set)

    def take(self, response: DeltaDiscoveryResponse) -> list[DeltaDiscoveryRequest]:
        """Apply a response; return what the proxy says then."""
        type_url = TypeUrl(response.type_url)
        held = self.holds[type_url]
        held |= {r.name: r.version for r in response.resources}
        for name in response.removed_resources:
            held.pop(name, None)
        answers: list[DeltaDiscoveryRequest] = []
        if type_url == CLUSTER:  # Envoy asks for endpoints before it acknowledges
            answers += self._clusters_changed({r.name for r in response.resources})
        if type_url == ENDPOINTS:
            # That there are none is an answer as well.
            answered = {r.name for r in response.resources} | {*response.removed_resources}
            warm = answered & self.warming
            self.warming -= warm
            self.serving |= warm
        return [
            *answers,
            DeltaDiscoveryRequest(type_url=type_url, response_nonce=response.nonce),
        ]

    def _clusters_changed(self, updated: set[str]) -> list[DeltaDiscoveryRequest]:
        """A new or updated cluster warms; only new ones ask for endpoints."""
        present = self.holds[CLUSTER].keys()
        new, gone = present - self.endpoints_wanted, self.endpoints_wanted - present
        self.warming = (self.warming | updated) & present
        self.serving &= present
        self.endpoints_wanted = set(present)
        for name in gone:
            self.holds[ENDPOINTS].pop(name, None)
        if not new and not gone:
            return []
        request = DeltaDiscoveryRequest(type_url=ENDPOINTS)
        request.resource_names_subscribe.extend(sorted(new))
        request.resource_names_unsubscribe.extend(sorted(gone))
        return [request]


class ProxyAndControlPlane(RuleBasedStateMachine):
    """Messages wait on both ways for as long as hypothesis likes.

    ``promised``: by type, name and version, the clusters that were there whenever that version
    was published: while the proxy has it, it must be able to use them.
    """

    @initialize(world=WORLDS)
    def start(self, world: World) -> None:
        self.proxy = Proxy()
        self.promised: dict[tuple[TypeUrl, str, str], frozenset[str]] = {}
        self.refused: set[str] = set()
        self.published: Published = {}
        self.connect()
        self.publish(world)

    def connect(self) -> None:
        self.stream = DeltaStream()
        self.to_proxy: deque[DeltaDiscoveryResponse] = deque()
        self.to_server: deque[DeltaDiscoveryRequest] = deque()
        self.stream.publish(self.published)
        # Envoy asks for no clusters while one of them waits for its endpoints.
        self.withheld: list[DeltaDiscoveryRequest] = []
        waits = bool(self.proxy.warming and self.proxy.holds[LISTENER])
        for type_url in TYPES:
            held = self.proxy.holds[type_url]
            request = DeltaDiscoveryRequest(type_url=type_url, initial_resource_versions=held)
            if type_url == ENDPOINTS:
                request.resource_names_subscribe.extend(sorted(self.proxy.endpoints_wanted))
            if type_url == ROUTE:
                request.resource_names_subscribe.extend(USERS)
            (self.withheld if waits and type_url == CLUSTER else self.to_server).append(request)

    @rule(world=WORLDS)
    def publish(self, world: World) -> None:
        self.published = published_of(world)
        clusters = frozenset(self.published[CLUSTER])
        current = {}
        for type_url in (LISTENER, ROUTE):
            for name, resource in self.published[type_url].items():
                place = (type_url, name, resource.version)
                kept = self.promised.get(place, resource.uses)
                current[place] = kept & clusters
        self.promised |= current
        self.stream.publish(self.published)

    @rule(type_url=st.sampled_from((LISTENER, ROUTE)), uses=st.sampled_from(CLUSTERS))
    def change_taste(self, type_url: TypeUrl, uses: str) -> None:
        """From now on the proxy refuses, or takes again, whatever uses that cluster."""
        self.refused ^= {uses}

    @rule()
    def reconnect(self) -> None:
        self.connect()

    @rule(reads=st.integers(0, 3), writes=st.integers(0, 3))
    def server_turn(self, reads: int, writes: int) -> None:
        for _ in range(min(reads, len(self.to_server))):
            self.stream.receive(self.to_server.popleft())
        for _ in range(writes):
            if (response := self.stream.poll()) is not None:
                self.to_proxy.append(DeltaDiscoveryResponse.FromString(response.body))

    @rule()
    def proxy_turn(self) -> None:
        if not self.to_proxy:
            return
        response = self.to_proxy.popleft()
        if self._refuses(response):
            request = DeltaDiscoveryRequest(
                type_url=response.type_url, response_nonce=response.nonce
            )
            request.error_detail.message = "refused as a whole"
            self.to_server.append(request)
            return
        self.to_server.extend(self.proxy.take(response))
        if not self.proxy.warming:
            self.ask_for_clusters()

    def ask_for_clusters(self) -> None:
        self.to_server.extend(self.withheld)
        self.withheld = []

    def _refuses(self, response: DeltaDiscoveryResponse) -> bool:
        if response.type_url not in (LISTENER, ROUTE):
            return False
        return any(
            bad in r.version.removeprefix("uses")
            for r in response.resources
            for bad in self.refused
        )

    @invariant()
    def no_route_or_listener_names_a_cluster_that_is_not_there(self) -> None:
        if not hasattr(self, "proxy"):
            return
        for type_url in (LISTENER, ROUTE):
            for name, version in self.proxy.holds[type_url].items():
                missing = self.promised[type_url, name, version] - self.proxy.serving
                assert not missing, f"{type_url} {name} {version} lacks {sorted(missing)}"

    def teardown(self) -> None:
        """In the end nothing waits, and only what was refused keeps clusters that are gone."""
        if not hasattr(self, "proxy"):
            return
        self.deliver_everything()
        held, published = self.proxy.holds[CLUSTER].keys(), self.published[CLUSTER].keys()
        assert not self.proxy.warming & published
        assert self.proxy.serving >= published
        assert held >= published
        if not any(self.stream.rejected().values()):
            assert held == published

    def deliver_everything(self) -> None:
        for _ in range(1000):
            self.server_turn(reads=3, writes=3)
            self.proxy_turn()
            self.no_route_or_listener_names_a_cluster_that_is_not_there()
            if not self.to_server and not self.to_proxy:
                self.server_turn(reads=0, writes=1)
                if not self.to_proxy and not self.withheld:
                    return
                if not self.to_proxy:
                    self.ask_for_clusters()  # Envoy does not wait for endpoints for ever
        raise AssertionError("the conversation never ends")


ProxyAndControlPlane.TestCase.settings = settings(
    max_examples=150, stateful_step_count=50, deadline=None
)
TestMakeBeforeBreak = ProxyAndControlPlane.TestCase


def test_a_cluster_updated_on_a_stream_that_ends_then_gets_its_endpoints_on_the_next() -> None:
    def world(cluster: str) -> World:
        one = frozenset({"a"})
        return {
            CLUSTER: {"a": cluster},
            ENDPOINTS: dict.fromkeys(CLUSTERS, "1"),
            LISTENER: {"x": one},
            ROUTE: dict.fromkeys(USERS, one),
        }

    machine = ProxyAndControlPlane()
    machine.start(world("1"))
    machine.deliver_everything()
    machine.publish(world("2"))
    machine.server_turn(reads=0, writes=1)
    machine.proxy_turn()
    assert machine.proxy.warming == {"a"}
    machine.reconnect()
    machine.deliver_everything()
    assert not machine.proxy.warming


def test_a_route_that_is_new_after_a_reconnect_waits_for_clusters_that_are_asked_for_last() -> None:
    def world(clusters: str, used: str) -> World:
        return {
            CLUSTER: dict.fromkeys(clusters, "1"),
            ENDPOINTS: dict.fromkeys(CLUSTERS, "1"),
            LISTENER: {"x": frozenset()},
            ROUTE: dict.fromkeys(USERS, frozenset({used})),
        }

    machine = ProxyAndControlPlane()
    machine.start(world("a", "a"))
    machine.deliver_everything()
    machine.publish(world("ab", "a"))
    machine.server_turn(reads=0, writes=1)
    machine.proxy_turn()
    assert machine.proxy.warming == {"b"}
    machine.publish(world("abc", "c"))
    machine.reconnect()
    assert machine.withheld
    machine.deliver_everything()
    assert "c" in machine.proxy.serving


def test_endpoints_do_not_come_while_their_cluster_is_away() -> None:
    """Envoy would keep their version alone, and after a reconnect say that it has them."""

    def world(clusters: str) -> World:
        return {
            CLUSTER: dict.fromkeys(clusters, "1"),
            ENDPOINTS: dict.fromkeys(CLUSTERS, "1"),
            LISTENER: {},
            ROUTE: dict.fromkeys(USERS, frozenset(clusters)),
        }

    machine = ProxyAndControlPlane()
    machine.start(world("a"))
    machine.server_turn(reads=2, writes=2)
    machine.proxy_turn()
    machine.proxy_turn()
    machine.publish(world(""))
    machine.server_turn(reads=0, writes=1)
    machine.publish(world("a"))
    machine.proxy_turn()
    assert not machine.proxy.holds[CLUSTER]
    machine.server_turn(reads=3, writes=1)  # it hears now that the endpoints were wanted
    machine.proxy_turn()
    assert not machine.proxy.holds[ENDPOINTS]
    machine.reconnect()
    machine.deliver_everything()
    assert machine.proxy.serving == {"a"}
