"""Random histories of the small world: what there is at first, and batches of changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from clew.model.base import Resource
from clew.model.config_map import ConfigMap
from clew.model.core_service import CoreService
from clew.model.namespace import Namespace
from clew.model.secret import Secret
from clew.model.service_entry import ServiceEntry
from tests.snapshot.pool import by_kind, gateway_service

POOL = by_kind()
Batch = list[tuple[Resource, str]]


def objects_of(kinds: Iterable[type[Resource]]) -> st.SearchStrategy[Resource]:
    return st.one_of([st.sampled_from(POOL[kind]) for kind in kinds])


# What the Gateway API is about: a route needs many others to have an effect.
GATEWAY_API = {kind for kind in POOL if kind.__module__.startswith("clew.model.gateway_api")}
GATEWAY_API |= {ConfigMap, CoreService, Namespace, Secret, ServiceEntry}


def at_play(kinds: Iterable[type[Resource]], **sizes: Any) -> st.SearchStrategy[list[Any]]:
    """Each kind of few meets the others more often than all of them would."""
    ordered = [kind for kind in POOL if kind in kinds]
    return st.lists(st.sampled_from(ordered), unique=True, **sizes)


KINDS_AT_PLAY = at_play(POOL, min_size=3, max_size=12) | at_play(GATEWAY_API, min_size=6)
OBJECTS = KINDS_AT_PLAY.flatmap(lambda kinds: st.lists(objects_of(kinds), max_size=30))


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Resource], list[Batch]]:
    """What there is at first, and batches of changes."""
    some = objects_of(draw(KINDS_AT_PLAY))
    changes = st.tuples(some, st.sampled_from(["apply", "apply", "delete"]))
    first = draw(st.lists(some, min_size=20, max_size=50))
    batches = st.lists(st.lists(changes, min_size=1, max_size=3), min_size=5, max_size=20)
    return [*first, gateway_service()], draw(batches)
