"""Delta ADS: what to say to one Envoy, as a state machine without I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet

from clew._pb.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest
from clew.model.xds import (
    CLUSTER,
    ENDPOINTS,
    EXTENSION,
    LISTENER,
    NAME_TABLE,
    PUSH_ORDER,
    ROUTE,
    TRUST_BUNDLE,
    EnvoyResource,
    Published,
    TypeUrl,
)
from clew.xds.answers import Acked, Nacked, Response
from clew.xds.encoding import delta_response
from clew.xds.subscription import MAX_IN_FLIGHT, Changes, Held, Subscription, versions_of

# Types of which naming nothing in the first request means everything ("legacy wildcard").
WILDCARD_TYPES = frozenset({CLUSTER, LISTENER, NAME_TABLE, TRUST_BUNDLE})
# What routes, listeners and filters refer to: made before them, removed after them.
REFERRED = (CLUSTER, ENDPOINTS)
REFERRING = (LISTENER, ROUTE, EXTENSION)
_RANKS = {type_url: rank for rank, type_url in enumerate(PUSH_ORDER)}


class DeltaStream:
    """The conversation with one proxy over one delta ADS stream.

    The owner reports what happened (``receive``, ``publish``) and sends whatever ``poll`` returns
    until it returns None. A slow proxy skips to the newest versions: at most two responses per
    type are unanswered, and until then changes only mark names.

    Make before break: a listener or route waits until the proxy has acknowledged the clusters
    that it uses and their endpoints; clusters go once the proxy has replaced whatever used them.

    Source: Envoy docs, "xDS REST and gRPC protocol", sections "Incremental xDS" and
    "Eventual consistency considerations".
    """

    __slots__ = ("_early_clusters", "_nonces", "_published", "_resumed", "_subscriptions")

    def __init__(self) -> None:
        # In push order, so that each poll finds them as it needs them.
        self._subscriptions: dict[TypeUrl, Subscription] = {}
        self._published: Published = {}
        self._nonces = 0
        # Sent before the proxy has said which endpoints it has.
        self._early_clusters: set[str] = set()
        # The proxy has resources of an earlier stream.
        self._resumed = False

    def publish(
        self, published: Published, changed: Mapping[TypeUrl, AbstractSet[str]] | None = None
    ) -> None:
        """Replace everything that this proxy may see.

        ``changed`` has at least the names that differ from what was published to this stream
        before, types without a change left out; None: compare all.
        """
        self._published = published
        for type_url, subscription in self._subscriptions.items():
            names = None if changed is None else changed.get(type_url, frozenset())
            subscription.publish(published.get(type_url, {}), names)

    def receive(self, request: DeltaDiscoveryRequest) -> Acked | Nacked | None:
        """Take one request; return what it says of a response, if it answers one."""
        type_url = TypeUrl(request.type_url)
        subscription = self._subscriptions.get(type_url)
        first = subscription is None
        if subscription is None:
            subscription = self._begin(type_url)
            if type_url in WILDCARD_TYPES and not request.resource_names_subscribe:
                subscription.subscribe(("*",))
        # Subscriptions count even when the nonce is stale: they are never sent again.
        subscription.subscribe(request.resource_names_subscribe)
        subscription.unsubscribe(request.resource_names_unsubscribe)
        if first:
            subscription.resume(request.initial_resource_versions)
            self._resumed = self._resumed or bool(request.initial_resource_versions)
            if type_url == ENDPOINTS:
                self._repeat_endpoints(self._early_clusters)
        return _verdict(type_url, subscription, request)

    def poll(self) -> Response | None:
        """Return the next response to send; None when there is nothing to say for now.

        Additions and updates go out in push order, removals of clusters and endpoints at last.
        """
        for type_url, subscription in self._subscriptions.items():
            if subscription.at_rest or len(subscription.in_flight) >= MAX_IN_FLIGHT:
                continue
            changes = self._updates(type_url, subscription)
            if changes or not subscription.answered:
                return self._respond(type_url, subscription, changes)
        return self._poll_removals()

    def asked(self, type_url: TypeUrl) -> bool:
        """Whether the proxy has asked for anything of this type."""
        return type_url in self._subscriptions

    def wants(self, type_url: TypeUrl, name: str) -> bool:
        """Whether it is subscribed to this resource."""
        subscription = self._subscriptions.get(type_url)
        return subscription is not None and subscription.wants(name)

    def lagging(self) -> Mapping[TypeUrl, AbstractSet[str]]:
        """The names, by type, of which the proxy has not acknowledged the published version."""
        return {t: s.lagging.keys() for t, s in self._subscriptions.items() if s.lagging}

    def rejected(self) -> Mapping[TypeUrl, Mapping[str, str]]:
        """The versions that the proxy refused, by type and name, and that are still published."""
        return {t: dict(s.rejected) for t, s in self._subscriptions.items() if s.rejected}

    def _begin(self, type_url: TypeUrl) -> Subscription:
        """The first request for a type. Types that have no rank come last."""
        subscription = Subscription(self._published.get(type_url, {}))
        every = {**self._subscriptions, type_url: subscription}
        ranked = sorted(every, key=lambda each: _RANKS.get(each, len(_RANKS)))
        self._subscriptions = {each: every[each] for each in ranked}
        return subscription

    def _updates(self, type_url: TypeUrl, subscription: Subscription) -> Changes:
        if not subscription.dirty:
            return subscription.due_retry()
        changes, waiting = subscription.due_updates(self._readiness(type_url))
        # Not before its successor: both may listen at the same address.
        if type_url not in REFERRED and not waiting:
            changes |= subscription.due_removals(_whenever)
        return changes or subscription.due_retry()

    def _readiness(self, type_url: TypeUrl) -> Callable[[EnvoyResource], bool]:
        if type_url in REFERRING:
            return self._is_ready
        return self._has_cluster if type_url == ENDPOINTS else _always

    def _poll_removals(self) -> Response | None:
        for type_url in reversed(REFERRED):
            subscription = self._subscriptions.get(type_url)
            if subscription is None or not subscription.dirty:
                continue
            if len(subscription.in_flight) < MAX_IN_FLIGHT:
                changes = self._unused(subscription)
                if changes:
                    return self._respond(type_url, subscription, changes)
        return None

    def _unused(self, subscription: Subscription) -> Changes:
        """What is to be removed and no listener or route on the proxy may still refer to."""
        in_use = self._uses_of_what_is_replaced()

        def removable(name: str, held: Held) -> bool:
            if held.version is None:
                return True  # It asked for a name that does not exist, and waits to hear so.
            # After a reconnect, its listeners and routes are known once it has answered.
            return subscription.acknowledged and in_use is not None and name not in in_use

        return subscription.due_removals(removable)

    def _uses_of_what_is_replaced(self) -> set[str] | None:
        """Clusters used by listeners and routes that the proxy has yet to replace; None: any."""
        in_use: set[str] = set()
        for type_url in REFERRING:
            if (subscription := self._subscriptions.get(type_url)) is not None:
                for held in subscription.lagging.values():
                    if held.uses is None:
                        return None
                    in_use |= held.uses
        return in_use

    def _has_cluster(self, endpoints: EnvoyResource) -> bool:
        """Whether the proxy still wants them, as far as it is known: not while their cluster has
        been removed and comes back, though it has not unsubscribed yet.

        Of what comes then Envoy keeps the version alone, and says after a reconnect that it has it.
        """
        clusters = self._subscriptions.get(CLUSTER)
        return clusters is None or not clusters.comes_back(endpoints.name)

    def _is_ready(self, resource: EnvoyResource) -> bool:
        """Whether the proxy has all the clusters, with endpoints, that it will ever get.

        After a reconnect, Envoy asks for clusters last if some still wait for their endpoints.
        """
        if self._resumed and resource.uses and CLUSTER not in self._subscriptions:
            return False
        pending = [
            subscription
            for type_url in REFERRED
            if (subscription := self._subscriptions.get(type_url)) is not None
            and subscription.lagging
        ]
        return not any(s.awaits(cluster) for s in pending for cluster in resource.uses)

    def _repeat_endpoints(self, clusters: AbstractSet[str]) -> None:
        """Envoy warms an updated cluster anew and waits for endpoints, but never asks for them,
        as it is subscribed; and what it says that it has it may have said before the update.

        Source: envoyproxy/envoy#46383.
        """
        endpoints = self._subscriptions.get(ENDPOINTS)
        if endpoints is None:
            self._early_clusters |= clusters
        else:
            endpoints.repeat(clusters)
            self._early_clusters = set()

    def _respond(self, type_url: TypeUrl, subscription: Subscription, changes: Changes) -> Response:
        self._nonces += 1
        nonce = f"{self._nonces:x}"
        subscription.sent(nonce, changes)
        resources = [resource for resource in changes.values() if resource is not None]
        if type_url == CLUSTER:
            self._repeat_endpoints({resource.name for resource in resources})
        removed = [name for name, resource in changes.items() if resource is None]
        body = delta_response(type_url, nonce, resources, removed)
        return Response(type_url, nonce, versions_of(changes), body)


def _verdict(
    type_url: TypeUrl, subscription: Subscription, request: DeltaDiscoveryRequest
) -> Acked | Nacked | None:
    if not request.HasField("error_detail"):
        accepted = subscription.acknowledge(request.response_nonce)
        return None if accepted is None else Acked(type_url, accepted)
    detail = request.error_detail.message.strip()
    refused = subscription.reject(request.response_nonce, detail)
    return None if refused is None else Nacked(type_url, refused, detail)


def _always(resource: EnvoyResource) -> bool:
    return True


def _whenever(name: str, held: Held) -> bool:
    return True
