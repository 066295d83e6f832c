"""Whatever changes: every proxy ends with what a fresh control plane would publish to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hypothesis import given, settings

from clew.compile.check import check_published
from clew.model.base import Resource, ResourceKey
from clew.model.xds import Published, TypeUrl
from clew.server.publications import Changed
from clew.server.publisher import Publisher
from tests.snapshot.histories import Batch, histories
from tests.snapshot.pool import PROXIES

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
@given(histories())
def test_every_proxy_ends_with_what_a_fresh_control_plane_would_publish(
    history: tuple[list[Resource], list[Batch]],
) -> None:
    first, batches = history
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
    for subscriber in (each for each in subscribers if not each.proxy.grpc):
        problems = check_published(publisher.published_to(subscriber))
        assert [problem for problem in problems if "no cluster" not in problem] == []
