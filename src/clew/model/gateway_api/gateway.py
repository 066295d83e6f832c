"""Gateway of the Gateway API, called ``KubernetesGateway`` here, for Istio has a Gateway too."""

from __future__ import annotations

from enum import StrEnum

from msgspec import field

from clew.model.base import Model, Resource
from clew.model.gateway_api.listener import FromNamespaces, Listener
from clew.model.gateway_api.references import (
    LocalParametersReference,
    ObjectReference,
    SecretObjectReference,
)
from clew.model.selectors import LabelSelector


class FrontendValidationMode(StrEnum):
    ALLOW_VALID_ONLY = "AllowValidOnly"
    ALLOW_INSECURE_FALLBACK = "AllowInsecureFallback"


class GatewayDefaultScope(StrEnum):
    ALL = "All"
    NONE = "None"


class GatewaySpecAddress(Model, frozen=True, kw_only=True):
    """``type`` is IPAddress, Hostname, NamedAddress or a name with a domain before it."""

    type: str = "IPAddress"
    value: str = ""


class GatewayInfrastructure(Model, frozen=True, kw_only=True):
    """What the objects that a Gateway brings into being get."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    parameters_ref: LocalParametersReference | None = None


class ListenerNamespaces(Model, frozen=True, kw_only=True):
    from_: FromNamespaces = field(default=FromNamespaces.NONE, name="from")
    selector: LabelSelector | None = None


class AllowedListeners(Model, frozen=True, kw_only=True):
    """Whose ListenerSets may add listeners. By default nobody's."""

    namespaces: ListenerNamespaces = ListenerNamespaces()


class FrontendTLSValidation(Model, frozen=True, kw_only=True):
    """How certificates of clients are verified."""

    ca_certificate_refs: tuple[ObjectReference, ...] = field(name="caCertificateRefs")
    mode: FrontendValidationMode = FrontendValidationMode.ALLOW_VALID_ONLY


class TLSConfig(Model, frozen=True, kw_only=True):
    validation: FrontendTLSValidation | None = None


class TLSPortConfig(Model, frozen=True, kw_only=True):
    port: int
    tls: TLSConfig


class FrontendTLSConfig(Model, frozen=True, kw_only=True):
    default: TLSConfig
    per_port: tuple[TLSPortConfig, ...] = ()


class GatewayBackendTLS(Model, frozen=True, kw_only=True):
    client_certificate_ref: SecretObjectReference | None = None


class GatewayTLSConfig(Model, frozen=True, kw_only=True):
    backend: GatewayBackendTLS | None = None
    frontend: FrontendTLSConfig | None = None


class KubernetesGatewaySpec(Model, frozen=True, kw_only=True):
    gateway_class_name: str
    listeners: tuple[Listener, ...]
    addresses: tuple[GatewaySpecAddress, ...] = ()
    infrastructure: GatewayInfrastructure | None = None
    allowed_listeners: AllowedListeners = AllowedListeners()
    tls: GatewayTLSConfig | None = None
    default_scope: GatewayDefaultScope | None = None


class KubernetesGateway(Resource, frozen=True, kw_only=True):
    spec: KubernetesGatewaySpec
