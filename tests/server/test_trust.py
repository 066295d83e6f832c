"""When a change of roots goes on: whom it waits for, and whom not."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clew._pb.istio.mesh.v1alpha1.proxy_pb2 import ProxyConfig
from clew.ca.authority import pem
from clew.ca.in_force import AuthorityInForce, Phase
from clew.model.proxy import Proxy, ProxyType
from clew.model.xds import CLUSTER, TRUST_BUNDLE, Published, TypeUrl
from clew.server.trust import AWAY_SECONDS, SETTLE_SECONDS, START_SECONDS, Follower, TrustBundles
from clew.xds.answers import Acked
from tests.xds.conversation import resources


@dataclass
class World:
    directory: Path
    now: float = 100.0
    heard: list[Published] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.authority = AuthorityInForce(
            self.directory, "cluster.local", now=lambda: datetime.now(UTC)
        )
        self.trust = TrustBundles(self.authority, lambda: self.now)

    def agent(self, name: str = "a") -> Follower:
        """An agent that lives by what there is."""
        follower = self.stream(name)
        follower.heard(None)
        self.follow(follower)
        return follower

    def stream(self, name: str = "a") -> Follower:
        proxy = Proxy(type=ProxyType.SIDECAR, name=name, namespace="default", ip="10.0.0.7")

        def publish(
            published: Published, changed: Mapping[TypeUrl, AbstractSet[str]] | None
        ) -> None:
            self.heard.append(published)

        return Follower(self.trust, proxy, publish, lambda: None)

    def follow(self, follower: Follower) -> None:
        [bundle] = self.trust.published[TRUST_BUNDLE].values()
        follower.heard(Acked(TRUST_BUNDLE, {bundle.name: bundle.version}))

    def after(self, seconds: float) -> Phase | None:
        self.now += seconds
        self.trust.look()
        return self.authority.phase


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "ca")


def test_the_bundle_has_all_roots_the_signing_one_first(world: World) -> None:
    world.authority.rotate()
    world.trust.look()
    [bundle] = world.trust.published[TRUST_BUNDLE].values()
    listed = ProxyConfig.FromString(bundle.body).ca_certificates_pem
    assert list(listed) == [pem(each) for each in world.authority.current.roots]
    world.authority.advance()
    world.trust.look()
    [swapped] = world.trust.published[TRUST_BUNDLE].values()
    assert list(ProxyConfig.FromString(swapped.body).ca_certificates_pem) == listed[::-1]


def test_each_phase_begins_when_all_have_followed_the_one_before(world: World) -> None:
    first, second = world.agent("a"), world.agent("b")
    world.authority.rotate()
    assert world.after(0) is Phase.TRUST
    assert world.trust.waiting() == ("a.default", "b.default")
    world.follow(first)
    assert world.after(AWAY_SECONDS * 2) is Phase.TRUST, "one has not followed"
    world.follow(second)
    assert world.trust.followed() == 2
    assert world.after(0) is Phase.SIGN
    assert world.after(SETTLE_SECONDS) is Phase.SIGN, "nobody has a new certificate"
    world.follow(first)
    world.follow(second)
    assert world.after(0) is None


def test_a_phase_lasts_a_moment_even_if_nobody_is_there(world: World) -> None:
    world.authority.rotate()
    assert world.after(0) is Phase.TRUST
    assert world.after(SETTLE_SECONDS) is Phase.SIGN
    assert world.after(SETTLE_SECONDS / 2) is Phase.SIGN
    assert world.after(SETTLE_SECONDS / 2) is None


def test_an_agent_that_is_away_for_a_while_is_waited_for(world: World) -> None:
    agent = world.agent()
    agent.disconnect()
    world.authority.rotate()
    world.trust.look()
    assert world.after(SETTLE_SECONDS) is Phase.TRUST
    again = world.stream()
    again.heard(None)
    assert world.trust.waiting() == ("a.default",)
    world.follow(again)
    assert world.after(SETTLE_SECONDS) is Phase.SIGN
    again.disconnect()
    assert world.after(AWAY_SECONDS - 1) is Phase.SIGN
    assert world.after(2) is None, "it does not come back"


def test_an_agent_that_took_its_leave_is_not_waited_for(world: World) -> None:
    agent = world.agent()
    world.authority.rotate()
    world.trust.look()
    agent.heard(None, follows=False)
    agent.disconnect()
    assert world.trust.waiting() == ()


def test_a_stream_that_does_not_ask_for_roots_is_not_waited_for(world: World) -> None:
    envoy = world.stream()
    envoy.publish({CLUSTER: resources(a="1")}, None)
    world.authority.rotate()
    assert world.after(SETTLE_SECONDS) is Phase.TRUST
    assert world.after(SETTLE_SECONDS) is Phase.SIGN
    envoy.disconnect()
    assert world.trust.waiting() == ()


def test_a_new_control_plane_waits_for_agents_to_come_back(world: World) -> None:
    world.authority.rotate()
    again = World(world.directory)
    assert again.after(SETTLE_SECONDS) is Phase.TRUST
    agent = again.agent()
    agent.disconnect()
    again.agent()
    assert again.after(START_SECONDS) is Phase.SIGN


def test_what_an_agent_is_told_of_other_things_is_not_lost(world: World) -> None:
    agent = world.agent()
    agent.publish({CLUSTER: resources(a="1")}, None)
    world.authority.rotate()
    world.trust.look()
    assert world.heard[-1][CLUSTER] == resources(a="1")
    assert world.heard[-1][TRUST_BUNDLE] != world.heard[0][TRUST_BUNDLE]
