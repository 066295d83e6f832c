"""Whatever changes: every proxy ends with what a fresh control plane would publish to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from clew.compile.check import check_published
from clew.model.base import Resource, ResourceKey
from clew.model.xds import Published, TypeUrl
from clew.server.publisher import Changed, Publisher
from tests.snapshot.pool import PROXIES, by_kind

OBJECTS = st.one_of([st.sampled_from(objects) for objects in by_kind().values()])
CHANGES = st.tuples(OBJECTS, st.sampled_from(["apply", "apply", "delete"]))
Versions = Mapping[TypeUrl, Mapping[str, str]]


class Client:
    """A proxy that takes exactly what it is told has changed."""

    def __init__(self) -> None:
        self.held: dict[TypeUrl, dict[str, str]] = {}

    def __call__(self, published: Published, changed: Changed | None) -> None:
        if changed is None:
            self.held = versions(published)
            return
        for kind, names in changed.items():
            held, new = self.held.setdefault(kind, {}), published.get(kind, {})
            for name in names:
                held.pop(name, None)
                if name in new:
                    held[name] = new[name].version


def versions(published: Published) -> dict[TypeUrl, dict[str, str]]:
    return {
        kind: {name: resource.version for name, resource in resources.items()}
        for kind, resources in published.items()
    }


def fresh(resources: Iterable[Resource]) -> list[Client]:
    publisher = Publisher(resources)
    clients = []
    for proxy in PROXIES:
        clients.append(Client())
        publisher.connect(proxy, clients[-1])
    return clients


@settings(deadline=None, max_examples=40)
@given(
    st.lists(OBJECTS, min_size=15, max_size=40),
    st.lists(st.lists(CHANGES, min_size=1, max_size=2), min_size=3, max_size=10),
)
def test_every_proxy_ends_with_what_a_fresh_control_plane_would_publish(
    first: list[Resource], batches: list[list[tuple[Resource, str]]]
) -> None:
    objects: dict[ResourceKey, Resource] = {found.key: found for found in first}
    publisher = Publisher(objects.values())
    clients = [Client() for _ in PROXIES]
    subscribers = [publisher.connect(p, c) for p, c in zip(PROXIES, clients, strict=True)]
    for batch in batches:
        changes = [(found.key, found if what == "apply" else None) for found, what in batch]
        publisher.change(changes)
        for key, found in changes:
            objects.pop(key, None)
            if found is not None:
                objects[key] = found
        wanted = [client.held for client in fresh(objects.values())]
        assert [client.held for client in clients] == wanted
    for subscriber in subscribers:
        problems = check_published(publisher.published_to(subscriber))
        assert [problem for problem in problems if "no cluster" not in problem] == []
