"""State-of-the-world ADS: what to say to a proxyless gRPC client (or an Envoy set to it)."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import chain

import xxhash

from clew._pb.envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest
from clew.model.xds import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    PUSH_ORDER,
    ROUTE,
    EnvoyResource,
    Published,
    ResourcesByName,
    TypeUrl,
)
from clew.xds.answers import Acked, Nacked, Response, named_as_guilty
from clew.xds.encoding import sotw_response

# A response of these types is complete: what it leaves out is removed.
COMPLETE_TYPES = frozenset({CLUSTER, LISTENER})
REFERRING = (LISTENER, ROUTE)


@dataclass(slots=True)
class _Watch:
    """What the client wants of one type, and what it was told and accepted.

    ``doubtful`` was in a refused response, so the client may have it or not.
    """

    names: frozenset[str] = frozenset()
    wildcard: bool = False
    sent: ResourcesByName = field(default_factory=dict)
    held: ResourcesByName = field(default_factory=dict)
    doubtful: ResourcesByName = field(default_factory=dict)
    nonce: str = ""  # of the response that waits for an answer
    answer: bool = True  # respond even if nothing changed
    look: bool = True  # something happened since the last poll

    def wants(self, name: str) -> bool:
        return self.wildcard or name in self.names

    def has(self, name: str) -> bool:
        return name in self.held or name in self.doubtful

    def subscribe(self, type_url: TypeUrl, names: frozenset[str], *, first: bool) -> None:
        """Take the complete list of names; none at all means everything, if it always did."""
        complete = type_url in COMPLETE_TYPES
        wildcard = "*" in names or (complete and not names and (first or self.wildcard))
        if wildcard == self.wildcard and names == self.names:
            return
        # A client waits to hear that a cluster or listener it asks for does not exist.
        self.answer |= complete and (wildcard > self.wildcard or not names <= self.names)
        self.names, self.wildcard, self.look = names, wildcard, True
        self.sent = {name: r for name, r in self.sent.items() if self.wants(name)}
        self.held = {name: r for name, r in self.held.items() if self.wants(name)}


class SotwStream:
    """The conversation with one client over one state-of-the-world stream.

    Every response has all that the client wants of the type. One response per type is unanswered
    at most. Make before break as in DeltaStream: until the client has accepted a new cluster,
    listeners and routes that use it keep their former version, and clusters that are gone stay
    in the responses until the client has replaced what used them.

    Source: Envoy docs, "xDS REST and gRPC protocol"; gRPC proposals A27 and A53.
    """

    __slots__ = ("_nonces", "_published", "_watches")

    def __init__(self) -> None:
        self._watches: dict[TypeUrl, _Watch] = {}
        self._published: Published = {}
        self._nonces = 0

    def publish(
        self, published: Published, changed: Mapping[TypeUrl, AbstractSet[str]] | None = None
    ) -> None:
        """Replace everything that this client may see; ``changed`` as in DeltaStream."""
        self._published = published
        for type_url, watch in self._watches.items():
            watch.look |= changed is None or bool(changed.get(type_url))

    def receive(self, request: DiscoveryRequest) -> Acked | Nacked | None:
        """Take one request; return what it says of a response, if it answers one."""
        type_url = TypeUrl(request.type_url)
        watch = self._watches.get(type_url)
        first = watch is None
        if watch is None:
            watch = self._watches[type_url] = _Watch()
        # Each request has all names, and requests arrive in order: even a stale one is newer.
        watch.subscribe(type_url, frozenset(request.resource_names), first=first)
        if first:
            self._resume(type_url, watch, request.version_info)
        if not watch.nonce or request.response_nonce != watch.nonce:
            return None
        watch.nonce = ""
        for other in self._watches.values():
            other.look = True  # An answer may free what waited for it.
        if request.HasField("error_detail"):
            return _refused(type_url, watch, request.error_detail.message.strip())
        watch.held, watch.doubtful = watch.sent, {}
        return Acked(type_url, {name: r.version for name, r in watch.sent.items()})

    def poll(self) -> Response | None:
        """Return the next response to send; None when there is nothing to say for now."""
        for type_url in chain(PUSH_ORDER, self._watches.keys() - set(PUSH_ORDER)):
            watch = self._watches.get(type_url)
            if watch is None or watch.nonce or not watch.look:
                continue
            watch.look = False
            target = self._target(type_url, watch)
            if watch.answer or _is_news(type_url, watch, target):
                return self._respond(type_url, watch, target)
        return None

    def asked(self, type_url: TypeUrl) -> bool:
        """Whether the client has asked for anything of this type."""
        return type_url in self._watches

    def wants(self, type_url: TypeUrl, name: str) -> bool:
        """Whether it is subscribed to this resource."""
        watch = self._watches.get(type_url)
        return watch is not None and watch.wants(name)

    def lagging(self) -> Mapping[TypeUrl, AbstractSet[str]]:
        """The names, by type, of which the client has not acknowledged the published version."""
        behind = {}
        for type_url, watch in self._watches.items():
            published = self._published.get(type_url, {})
            wanted = published.keys() if watch.wildcard else published.keys() & watch.names
            names = {n for n in wanted if not _same(watch.held.get(n), published[n])}
            if names:
                behind[type_url] = names
        return behind

    def _resume(self, type_url: TypeUrl, watch: _Watch, version: str) -> None:
        """A reconnecting client that has exactly what is published needs no answer.

        One that asks by name gets one: it may have asked for a name, in vain, since that version.
        """
        target = self._target(type_url, watch)
        if watch.wildcard and version and version == content_version(target):
            watch.sent = watch.held = target
            watch.answer = False

    def _target(self, type_url: TypeUrl, watch: _Watch) -> ResourcesByName:
        """What the client should have now, make before break included."""
        published = self._published.get(type_url, {})
        if watch.wildcard:
            target = dict(published)
        else:
            target = {name: published[name] for name in sorted(watch.names) if name in published}
        if type_url == CLUSTER:
            in_use = self._uses_of_what_is_replaced()
            return target | {
                name: resource
                for name, resource in watch.held.items()
                if name in in_use and name not in target and watch.wants(name)
            }
        if type_url in REFERRING:
            return self._ready(watch, target)
        return target

    def _ready(self, watch: _Watch, target: ResourcesByName) -> ResourcesByName:
        """Replace what uses clusters that are on their way by what the client holds, if any."""
        clusters = self._watches.get(CLUSTER)
        if clusters is None:
            return target
        published = self._published.get(CLUSTER, {})
        missing = {n for n in published if clusters.wants(n) and not clusters.has(n)}
        ready = {}
        for name, resource in target.items():
            if missing.isdisjoint(resource.uses):
                ready[name] = resource
            elif name in watch.held:
                ready[name] = watch.held[name]
        return ready

    def _uses_of_what_is_replaced(self) -> set[str]:
        """Clusters used by listeners and routes that the client has yet to replace."""
        in_use: set[str] = set()
        for type_url in REFERRING:
            watch = self._watches.get(type_url)
            if watch is None:
                continue
            published = self._published.get(type_url, {})
            for resource in chain(watch.held.values(), watch.doubtful.values()):
                if watch.wants(resource.name) and not _same(published.get(resource.name), resource):
                    in_use |= resource.uses
        return in_use

    def _respond(self, type_url: TypeUrl, watch: _Watch, target: ResourcesByName) -> Response:
        self._nonces += 1
        watch.nonce, watch.answer = f"{self._nonces:x}", False
        endpoints = self._watches.get(ENDPOINTS)
        if type_url == CLUSTER and endpoints is not None:
            # Envoy warms an updated cluster anew and waits for endpoints that it never asks for.
            updated = {n for n, r in target.items() if n in watch.sent and watch.sent[n] is not r}
            if any(endpoints.wants(name) for name in updated):
                endpoints.answer = endpoints.look = True
        watch.sent = target
        version = content_version(target)
        body = sotw_response(type_url, version, watch.nonce, target.values())
        return Response(type_url, watch.nonce, {n: r.version for n, r in target.items()}, body)


def content_version(resources: ResourcesByName) -> str:
    """A version that is equal for equal resources, whichever replica sends them."""
    digest = xxhash.xxh3_64()
    for name in sorted(resources):
        digest.update(f"{name}={resources[name].version}\n")
    return digest.hexdigest()


def _is_news(type_url: TypeUrl, watch: _Watch, target: ResourcesByName) -> bool:
    if any(not _same(watch.sent.get(name), resource) for name, resource in target.items()):
        return True
    return type_url in COMPLETE_TYPES and not watch.sent.keys() <= target.keys()


def _same(one: EnvoyResource | None, other: EnvoyResource | None) -> bool:
    return one is other or (one is not None and other is not None and one.version == other.version)


def _refused(type_url: TypeUrl, watch: _Watch, detail: str) -> Nacked:
    """What was sent is not repeated until some of it changes; the client may have parts of it."""
    watch.doubtful = {**watch.doubtful, **watch.sent}
    blamed = named_as_guilty(detail, watch.sent)
    return Nacked(
        type_url,
        {n: r.version for n, r in watch.sent.items() if not blamed or n in blamed},
        detail,
    )
