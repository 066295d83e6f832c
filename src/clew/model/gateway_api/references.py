"""How objects of the Gateway API refer to others."""

from __future__ import annotations

from clew.model.base import Model

GATEWAY_GROUP = "gateway.networking.k8s.io"


class ParentReference(Model, frozen=True, kw_only=True):
    """What a route attaches to: a Gateway, a ListenerSet, a Service …"""

    group: str = GATEWAY_GROUP
    kind: str = "Gateway"
    namespace: str | None = None
    name: str
    section_name: str | None = None
    port: int | None = None


class ParentGatewayReference(Model, frozen=True, kw_only=True):
    """The Gateway that a ListenerSet adds listeners to."""

    group: str = GATEWAY_GROUP
    kind: str = "Gateway"
    name: str
    namespace: str | None = None


class BackendObjectReference(Model, frozen=True, kw_only=True):
    """A backend without a weight, as of mirrored requests."""

    group: str = ""
    kind: str = "Service"
    name: str
    namespace: str | None = None
    port: int | None = None


class BackendRef(Model, frozen=True, kw_only=True):
    group: str = ""
    kind: str = "Service"
    name: str
    namespace: str | None = None
    port: int | None = None
    weight: int = 1


class LocalObjectReference(Model, frozen=True, kw_only=True):
    """An object in the same namespace."""

    group: str
    kind: str
    name: str


class ObjectReference(Model, frozen=True, kw_only=True):
    group: str
    kind: str
    name: str
    namespace: str | None = None


class SecretObjectReference(Model, frozen=True, kw_only=True):
    group: str = ""
    kind: str = "Secret"
    name: str
    namespace: str | None = None


class ParametersReference(Model, frozen=True, kw_only=True):
    group: str
    kind: str
    name: str
    namespace: str | None = None


class LocalParametersReference(Model, frozen=True, kw_only=True):
    group: str
    kind: str
    name: str


class LocalPolicyTargetReference(Model, frozen=True, kw_only=True):
    """What a policy of the same namespace is attached to, or one ``section_name`` of it."""

    group: str
    kind: str
    name: str
    section_name: str | None = None
