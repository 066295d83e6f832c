"""What the admin API answers about the mesh as a whole: overview, changes, services, proxies."""

from __future__ import annotations

from typing import Literal

from clew.api.messages import Finding, Key, Message, ObjectState, ProxyStatus, Refusal

TroubleSeverity = Literal["error", "warning"]
EVERY_PROXY = "*"
AUTHORITY = "authority"


class Trouble(Message, frozen=True, kw_only=True):
    """One thing that is wrong now, in a sentence, and where its cause is.

    Of ``object`` (with ``field``), ``proxy`` (a node id) and ``service`` (``namespace/host``) the
    one that is to blame is set; ``proxy`` is EVERY_PROXY where it is no single one. ``view`` is
    AUTHORITY where it is the certificate authority.
    """

    severity: TroubleSeverity
    problem: str
    hint: str = ""
    object: Key | None = None
    field: str = ""
    proxy: str = ""
    service: str = ""
    view: str = ""


class Counts(Message, frozen=True, kw_only=True):
    """How many proxies there are, and in which state; a proxy counts once."""

    connected: int = 0
    synced: int = 0
    pending: int = 0
    rejecting: int = 0


class RecentChange(Message, frozen=True, kw_only=True):
    """Who changed which object when, and what of it: ``spec.http[0].route[0].weight: 90 → 50``.

    ``state``: whether the object is in force now, "" where that cannot be said.
    """

    key: Key
    revision: int
    at: str
    author: str
    action: str
    differences: tuple[str, ...] = ()
    state: ObjectState | Literal[""] = ""


class RecentChanges(Message, frozen=True, kw_only=True):
    """Newest first."""

    items: tuple[RecentChange, ...] = ()


class Certificate(Message, frozen=True, kw_only=True):
    """A certificate that the mesh holds in a Secret. ``expires`` is RFC 3339."""

    object: Key
    subject: str
    expires: str
    seconds_left: int


class ProxyCertificate(Message, frozen=True, kw_only=True):
    """The certificate of a proxy (``node``). ``late``: it should have been renewed."""

    name: str
    namespace: str
    node: str
    seconds_left: int
    late: bool = False


class Overview(Message, frozen=True, kw_only=True):
    """``troubles``: the worst first. ``objects``: how many of each kind there are.

    ``root_namespace``: whose policies are for the whole mesh. ``proxy_certificates``: a few, those
    that end first.
    """

    revision: int
    root_namespace: str = ""
    troubles: tuple[Trouble, ...] = ()
    proxies: Counts = Counts()
    objects: dict[str, int] = {}
    changes: tuple[RecentChange, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    proxy_certificates: tuple[ProxyCertificate, ...] = ()


class KindItem(Message, frozen=True, kw_only=True):
    """A kind that the mesh knows. ``standing``: whether its objects can be in force."""

    group: str
    kind: str
    plural: str
    api_version: str
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    standing: bool = False


class KindList(Message, frozen=True, kw_only=True):
    items: tuple[KindItem, ...] = ()


class Reference(Message, frozen=True, kw_only=True):
    """One object names another, in ``field`` of the one that does. ``exists``: of the named."""

    key: Key
    field: str
    exists: bool = True


class References(Message, frozen=True, kw_only=True):
    """``to``: what the object names. ``by``: what names it."""

    to: tuple[Reference, ...] = ()
    by: tuple[Reference, ...] = ()


class ResourceState(Message, frozen=True, kw_only=True):
    """One xDS resource of one proxy: the version published, and the one that it has.

    ``acknowledged`` is "" where the proxy has none, or has not asked for it.
    """

    type: str
    name: str
    version: str
    acknowledged: str = ""
    error: str = ""
    size: int = 0


class ProxyDetail(Message, frozen=True, kw_only=True):
    """One proxy, what it is told, and the objects that have a say in it."""

    proxy: ProxyStatus
    labels: dict[str, str] = {}
    service_account: str = ""
    workload: str = ""
    type: str = ""
    resources: tuple[ResourceState, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    objects: tuple[Key, ...] = ()


class ServiceSummary(Message, frozen=True, kw_only=True):
    """``healthy`` of ``endpoints`` can be used. ``rules``: its VirtualServices."""

    host: str
    namespace: str
    name: str
    source: Key
    ports: tuple[str, ...] = ()
    healthy: int = 0
    endpoints: int = 0
    rules: tuple[Key, ...] = ()
    versions: tuple[str, ...] = ()


class ServiceList(Message, frozen=True, kw_only=True):
    items: tuple[ServiceSummary, ...] = ()


class SubsetView(Message, frozen=True, kw_only=True):
    """A named part of a service's endpoints, chosen by labels; ``field`` is in its rule."""

    name: str
    labels: dict[str, str] = {}
    healthy: int = 0
    endpoints: int = 0
    rule: Key | None = None
    field: str = ""


class RouteTarget(Message, frozen=True, kw_only=True):
    """Where a share of the requests goes, in percent. ``problem``: why that leads nowhere."""

    host: str
    subset: str = ""
    port: int = 0
    weight: float = 100.0
    field: str = ""
    healthy: int = 0
    endpoints: int = 0
    problem: str = ""


class RouteView(Message, frozen=True, kw_only=True):
    """One decision: what must match, and what happens then.

    ``matches`` are alternatives, in words; none: everything. ``actions``: what else is done, in
    words (``timeout 2s``, ``fault: abort 10 % with 503``).
    """

    source: Key | None = None
    field: str = ""
    name: str = ""
    protocol: str = "http"
    matches: tuple[str, ...] = ()
    targets: tuple[RouteTarget, ...] = ()
    actions: tuple[str, ...] = ()


class RouteTable(Message, frozen=True, kw_only=True):
    """The routes in order, as clients at ``gateway`` ("mesh": sidecars) of ``namespace`` see them.

    The first that matches decides. ``hosts``: the names by which they ask.
    """

    gateway: str
    hosts: tuple[str, ...] = ()
    routes: tuple[RouteView, ...] = ()


class EndpointView(Message, frozen=True, kw_only=True):
    address: str
    port: int
    port_name: str = ""
    health: str = ""
    workload: str = ""
    version: str = ""
    zone: str = ""
    mutual_tls: bool = False
    pod: Key | None = None
    weight: int = 1
    subsets: tuple[str, ...] = ()


class PolicyView(Message, frozen=True, kw_only=True):
    """An object that has a say in how requests to the service are treated, and what it says."""

    key: Key
    says: tuple[str, ...] = ()


class ServiceView(Message, frozen=True, kw_only=True):
    """Everything that decides what becomes of a request to one service."""

    summary: ServiceSummary
    seen_from: str
    tables: tuple[RouteTable, ...] = ()
    subsets: tuple[SubsetView, ...] = ()
    endpoints: tuple[EndpointView, ...] = ()
    policies: tuple[PolicyView, ...] = ()
    findings: tuple[Finding, ...] = ()
    mutual_tls: dict[str, str] = {}
