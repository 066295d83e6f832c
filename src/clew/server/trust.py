"""What proxies are told to trust, and when all have followed a change of roots."""

from __future__ import annotations

from collections.abc import Callable

from clew._pb.istio.mesh.v1alpha1.proxy_pb2 import ProxyConfig
from clew.ca.authority import pem
from clew.ca.in_force import AuthorityInForce
from clew.compile.resources import resource
from clew.model.proxy import Proxy
from clew.model.xds import TRUST_BUNDLE, EnvoyResource, Published
from clew.server.mtls import peer_name
from clew.server.publications import Changed, OnPublish
from clew.xds.answers import Acked, Nacked

# Proxies take certificates over in their own threads, after they have acknowledged them.
SETTLE_SECONDS = 2.0
# A proxy that is away may come back with what it had; after this, it is not waited for.
AWAY_SECONDS = 300.0
# All agents have reconnected to a new control plane by then.
START_SECONDS = 30.0

BUNDLE = "default"


class TrustBundles:
    """The bundle of roots as a resource of xDS, which agents acknowledge once they live by it.

    It moves the authority from phase to phase. ``clock`` is monotonic, in seconds.
    """

    def __init__(self, authority: AuthorityInForce, clock: Callable[[], float]) -> None:
        self._authority = authority
        self._clock = clock
        self._followers: set[Follower] = set()
        # Who left: when, and what it lived by.
        self._left: dict[str, tuple[float, str]] = {}
        self._bundle = _bundle_of(authority)
        resumed = authority.phase is not None
        self._changed = clock() + (START_SECONDS if resumed else 0.0)

    @property
    def published(self) -> Published:
        return {TRUST_BUNDLE: {BUNDLE: self._bundle}}

    def connect(self, follower: Follower) -> None:
        """An agent asks for the bundle."""
        self._followers.add(follower)
        self._left.pop(follower.name, None)

    def leave(self, follower: Follower) -> None:
        """An agent asks no more: its workload ends, and is not waited for."""
        self._followers.discard(follower)

    def disconnect(self, follower: Follower) -> None:
        if follower in self._followers:
            self._followers.discard(follower)
            self._left[follower.name] = (self._clock(), follower.acked)

    def waiting(self) -> tuple[str, ...]:
        """The proxies that have yet to follow, those that were lost lately included."""
        lost, version = self._clock() - AWAY_SECONDS, self._bundle.version
        self._left = {name: left for name, left in self._left.items() if left[0] > lost}
        away = {name for name, (_, acked) in self._left.items() if acked != version}
        return tuple(sorted(away | {e.name for e in self._followers if e.acked != version}))

    def followed(self) -> int:
        """How many proxies live by the present bundle."""
        version = self._bundle.version
        return len({each.name for each in self._followers if each.acked == version})

    def look(self) -> None:
        """Publish what the authority now says, and move it on when all have followed."""
        self._publish()
        if self._authority.phase is None or self.waiting():
            return
        if self._clock() - self._changed >= SETTLE_SECONDS:
            self._authority.advance()
            self._publish()

    def _publish(self) -> None:
        bundle = _bundle_of(self._authority)
        if bundle.version == self._bundle.version:
            return
        self._bundle = bundle
        self._changed = self._clock()
        for follower in tuple(self._followers):
            follower.changed()


class Follower:
    """One stream: adds the roots to what it is told, whichever of the two changes.

    ``acked``: the version of the bundle that its agent lives by.
    """

    def __init__(
        self,
        trust: TrustBundles | None,
        proxy: Proxy,
        publish: OnPublish,
        wake: Callable[[], None],
    ) -> None:
        self.name = peer_name(proxy)
        self.acked = ""
        self._trust = trust
        self._publish = publish
        self._wake = wake
        self._published: Published = {}

    def publish(self, published: Published, changed: Changed | None) -> None:
        self._published = published
        self._publish({**published, **self._roots}, changed)
        self._wake()

    def changed(self) -> None:
        """The roots are others."""
        names = {type_url: frozenset(named) for type_url, named in self._roots.items()}
        self._publish({**self._published, **self._roots}, names)
        self._wake()

    def heard(self, verdict: Acked | Nacked | None, *, follows: bool = True) -> None:
        """The agent has asked for the roots, or answered; ``follows``: it still wants them."""
        if self._trust is None:
            return
        if not follows:
            self._trust.leave(self)
            return
        self._trust.connect(self)
        if isinstance(verdict, Acked):
            self.acked = verdict.versions.get(BUNDLE) or self.acked

    def disconnect(self) -> None:
        if self._trust is not None:
            self._trust.disconnect(self)

    @property
    def _roots(self) -> Published:
        return {} if self._trust is None else self._trust.published


def _bundle_of(authority: AuthorityInForce) -> EnvoyResource:
    trusted = authority.current.trusted
    return resource(BUNDLE, ProxyConfig(ca_certificates_pem=map(pem, trusted)))
