"""Which objects may have made a proxy refuse a resource, in the order in which to try them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from clew.model.base import Resource, ResourceKey
from clew.model.kinds import GATEWAY_API
from clew.model.xds import TypeUrl
from clew.server.publisher import Publisher, Subscriber

Suspects = Mapping[ResourceKey, Resource | None]

# Among more than so many, those are suspected that the resource names as its origin.
_WORTH_COMPILING = 64
# What sends traffic elsewhere may be absent for a moment; the destinations only if need be.
_DESTINATIONS = frozenset({"ServiceEntry", "WorkloadEntry"})


def suspects(
    publisher: Publisher,
    subscriber: Subscriber,
    type_url: TypeUrl,
    name: str,
    accepted: str | None,
    innocent: Callable[[ResourceKey], bool],
) -> Iterator[Suspects]:
    """Yield groups of suspects with their good versions; the next if the last was innocent.

    What changed since the version that the proxy ``accepted`` comes first. Then whatever the
    resource was made from and no other proxy has accepted, of which nothing good is known.
    """
    recent = publisher.changed_since(subscriber, type_url, name, accepted)
    if recent := _contributing(recent, publisher, subscriber, type_url, name):
        yield recent
    if accepted is not None:
        return
    known = [key for key in publisher.concerns(subscriber) if _is_ours(key) and key not in recent]
    unproven = [key for key in sorted(known) if not innocent(key)]
    for destinations in (False, True):
        group = {k: None for k in unproven if (k.kind in _DESTINATIONS) is destinations}
        if found := _contributing(group, publisher, subscriber, type_url, name):
            yield found


def _is_ours(key: ResourceKey) -> bool:
    """Whether it is configuration of the mesh, which may be absent without one."""
    ours = key.group.endswith("istio.io") or key.group == GATEWAY_API
    return ours or key.kind in ("Ingress", "Secret")


def _contributing(
    candidates: Suspects,
    publisher: Publisher,
    subscriber: Subscriber,
    type_url: TypeUrl,
    name: str,
) -> dict[ResourceKey, Resource | None]:
    """Those without whose newest version the resource would be another one."""
    now = publisher.published_to(subscriber).get(type_url, {}).get(name)
    if now is None or len(candidates) == 1:
        return dict(candidates)
    if len(candidates) > _WORTH_COMPILING:
        named = {key: good for key, good in candidates.items() if key.name.encode() in now.body}
        return named or dict(candidates)

    def differs(change: Iterable[tuple[ResourceKey, Resource | None]]) -> bool:
        without = publisher.would_publish(subscriber, change).get(type_url, {}).get(name)
        return without is None or without.version != now.version

    return {key: good for key, good in candidates.items() if differs([(key, good)])}
