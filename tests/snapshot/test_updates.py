"""Whatever changes, and in whatever order: an updated snapshot is as good as one built anew."""

from __future__ import annotations

import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.model.base import Resource, ResourceKey
from clew.model.deployment import Deployment
from clew.model.kinds import KINDS
from clew.model.proxy import Proxy
from clew.model.replica_set import ReplicaSet
from clew.model.service_account import ServiceAccount
from clew.model.stateful_set import StatefulSet
from clew.snapshot.reach import affects, may_move
from clew.snapshot.scope import ProxyScope
from clew.snapshot.scope_builder import build_scope, scope_key
from clew.snapshot.snapshot import MeshSnapshot, build_snapshot, update_snapshot
from tests.snapshot.histories import OBJECTS, POOL, Batch, histories
from tests.snapshot.pool import PROXIES

# No configuration is made from these: they run, or say with what a proxy starts.
WITHOUT_EFFECT = {Deployment, ReplicaSet, ServiceAccount, StatefulSet}


def change(made: tuple[Resource, str]) -> tuple[ResourceKey, Resource | None]:
    found, what = made
    return found.key, found if what == "apply" else None


@settings(deadline=None, max_examples=200)
@given(histories())
def test_an_updated_snapshot_is_as_good_as_one_built_anew(
    history: tuple[list[Resource], list[Batch]],
) -> None:
    first, batches = history
    objects = {found.key: found for found in first}
    snapshot = build_snapshot(objects.values())
    scopes = {proxy: build_scope(snapshot, proxy) for proxy in PROXIES}
    for batch in batches:
        changes = [change(made) for made in batch]
        for key, found in changes:
            objects.pop(key, None)
            if found is not None:
                objects[key] = found
        snapshot, scopes = updated(snapshot, scopes, changes, build_snapshot(objects.values()))


def updated(
    before: MeshSnapshot,
    scopes: dict[Proxy, ProxyScope],
    changes: list[tuple[ResourceKey, Resource | None]],
    anew: MeshSnapshot,
) -> tuple[MeshSnapshot, dict[Proxy, ProxyScope]]:
    """Check one batch from every proxy's point of view."""
    keys = {proxy: scope_key(before, proxy) for proxy in scopes}
    after, dirty = update_snapshot(before, changes)
    found = {}
    for proxy, old in scopes.items():
        found[proxy] = build_scope(after, proxy, old)
        assert found[proxy] == build_scope(anew, proxy)
        assert affects(dirty, old) or found[proxy] == old
        assert scope_key(after, proxy) == scope_key(anew, proxy)
        assert may_move(dirty)(proxy) or scope_key(after, proxy) == keys[proxy]
    return after, found


@settings(deadline=None, max_examples=50)
@given(OBJECTS, st.randoms(use_true_random=False))
def test_the_order_in_which_objects_come_does_not_matter(
    found: list[Resource], chance: random.Random
) -> None:
    objects = list({each.key: each for each in found}.values())
    shuffled = list(objects)
    chance.shuffle(shuffled)
    one, other = build_snapshot(objects), build_snapshot(shuffled)
    for proxy in PROXIES:
        assert build_scope(one, proxy) == build_scope(other, proxy)


@settings(deadline=None, max_examples=50)
@given(OBJECTS)
def test_what_is_applied_again_touches_nothing(found: list[Resource]) -> None:
    objects = {each.key: each for each in found}
    again = {key: msgspec.structs.replace(each) for key, each in objects.items()}
    _, dirty = update_snapshot(build_snapshot(objects.values()), again.items())
    assert not dirty


def test_the_pool_has_every_kind_that_makes_configuration() -> None:
    assert {kind.type for kind in KINDS if kind.effective} <= POOL.keys() | WITHOUT_EFFECT
