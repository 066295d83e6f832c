"""What is known of each connected proxy: which versions it acknowledged, which it refused."""

from __future__ import annotations

from dataclasses import dataclass, field

from clew.api.messages import ProxyStatus, TypeStatus
from clew.api.traffic_report import ProxyFacts
from clew.model.proxy import Proxy
from clew.model.xds import CLUSTER, ENDPOINTS, EXTENSION, LISTENER, ROUTE, Published, TypeUrl
from clew.server.publisher import Subscriber
from clew.xds.answers import Acked, Conversation, Nacked

NO_FACTS = ProxyFacts()
SHORT_NAMES = {CLUSTER: "CDS", ENDPOINTS: "EDS", LISTENER: "LDS", ROUTE: "RDS", EXTENSION: "ECDS"}


@dataclass(slots=True, eq=False)
class ConnectedProxy:
    """One stream of a proxy. ``acked`` and ``refused`` hold versions by type and name.

    ``acked`` may hold names that the proxy no longer asks for.
    """

    subscriber: Subscriber
    conversation: Conversation
    since: str
    # When the oldest change was published of which it has not acknowledged everything.
    behind_since: float | None = None
    # The revision since which it is told what it is, once it has had all of that.
    synced: int | None = None
    acked: dict[TypeUrl, dict[str, str]] = field(default_factory=dict)
    refused: dict[TypeUrl, dict[str, tuple[str, str]]] = field(default_factory=dict)

    @property
    def proxy(self) -> Proxy:
        return self.subscriber.proxy

    @property
    def is_envoy(self) -> bool:
        """Agents listen too, for names."""
        asked = self.conversation.asked
        return asked(LISTENER) if self.proxy.grpc else asked(CLUSTER)

    def report(self, verdict: Acked | Nacked) -> None:
        acked = self.acked.setdefault(verdict.type_url, {})
        refused = self.refused.setdefault(verdict.type_url, {})
        for name, version in verdict.versions.items():
            refused.pop(name, None)
            if version is None:
                acked.pop(name, None)
            elif isinstance(verdict, Acked):
                acked[name] = version
            else:
                refused[name] = (version, verdict.detail)

    def status(self, published: Published, facts: ProxyFacts = NO_FACTS) -> ProxyStatus:
        """Compare what was acknowledged with what is published now."""
        return ProxyStatus(
            name=self.proxy.name,
            namespace=self.proxy.namespace,
            node=self.proxy.node_id,
            address=self.proxy.ip,
            since=self.since,
            types={
                short: self._type_status(type_url, published)
                for type_url, short in SHORT_NAMES.items()
                if type_url in self.acked
            },
            version=facts.version,
            certificate_begins=facts.certificate_begins,
            certificate_ends=facts.certificate_ends,
        )

    def _type_status(self, type_url: TypeUrl, published: Published) -> TypeStatus:
        wanted = {name: r.version for name, r in published.get(type_url, {}).items()}
        refused = self.refused.get(type_url, {})
        guilty = {n: detail for n, (version, detail) in refused.items() if wanted.get(n) == version}
        if guilty:
            error = "; ".join(dict.fromkeys(guilty.values()))
            return TypeStatus(state="nacked", error=error, resources=tuple(sorted(guilty)))
        # A proxy need not subscribe to everything, nor say that it forgets what it drops.
        lagging = self.conversation.lagging().get(type_url)
        return TypeStatus(state="pending" if lagging else "acked")
