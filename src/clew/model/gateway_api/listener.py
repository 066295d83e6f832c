"""A listener, as Gateway and ListenerSet both have them."""

from __future__ import annotations

from enum import StrEnum

from msgspec import field

from clew.model.base import Model
from clew.model.gateway_api.references import GATEWAY_GROUP, SecretObjectReference
from clew.model.selectors import LabelSelector


class FromNamespaces(StrEnum):
    ALL = "All"
    SELECTOR = "Selector"
    SAME = "Same"
    NONE = "None"


class TLSModeType(StrEnum):
    TERMINATE = "Terminate"
    PASSTHROUGH = "Passthrough"


class RouteGroupKind(Model, frozen=True, kw_only=True):
    group: str = GATEWAY_GROUP
    kind: str


class RouteNamespaces(Model, frozen=True, kw_only=True):
    from_: FromNamespaces = field(default=FromNamespaces.SAME, name="from")
    selector: LabelSelector | None = None


class AllowedRoutes(Model, frozen=True, kw_only=True):
    namespaces: RouteNamespaces = RouteNamespaces()
    kinds: tuple[RouteGroupKind, ...] = ()


class ListenerTLSConfig(Model, frozen=True, kw_only=True):
    mode: TLSModeType = TLSModeType.TERMINATE
    certificate_refs: tuple[SecretObjectReference, ...] = ()
    options: dict[str, str] = {}


class Listener(Model, frozen=True, kw_only=True):
    """``protocol`` is HTTP, HTTPS, TLS, TCP, UDP or a name with a domain before it."""

    name: str
    hostname: str | None = None
    port: int
    protocol: str
    tls: ListenerTLSConfig | None = None
    allowed_routes: AllowedRoutes = AllowedRoutes()
