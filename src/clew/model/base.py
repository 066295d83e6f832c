"""What every resource kind is made of: the struct base, metadata and keys."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import msgspec


class Model(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A message of Istio's API, spelled as its YAML spells it (camelCase outside, snake_case here).

    Unset is ``None`` (or an empty tuple or dict), which is never the same as zero. Repeated
    fields are tuples. A field that is not declared is an error, never ignored.
    """


class OpenModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A Kubernetes message of which only the fields that clew reads are declared."""


# Of a port that somebody listens on. Envoy's messages have no room for others.
PortNumber = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class OwnerReference(OpenModel, frozen=True, kw_only=True):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class ObjectMeta(OpenModel, frozen=True, kw_only=True):
    """Kubernetes' metadata. ``creation_timestamp`` is RFC 3339 in UTC, so it sorts as text."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    creation_timestamp: str = ""
    deletion_timestamp: str = ""
    generation: int = 0
    resource_version: str = ""
    uid: str = ""
    owner_references: tuple[OwnerReference, ...] = ()


class ResourceKey(NamedTuple):
    """What makes an object unique. ``namespace`` is "" for cluster-scoped kinds.

    Istio and the Gateway API both have a ``Gateway``, hence the API group ("" for core kinds).
    """

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """``VirtualService default/reviews``, the way messages name an object."""
        return (
            f"{self.kind} {self.namespace}/{self.name}"
            if self.namespace
            else self[1] + " " + self[3]
        )


class Resource(OpenModel, frozen=True, kw_only=True):
    """The envelope that all kinds share; each kind adds ``spec`` (or its own fields).

    ``status`` is kept as it came: the control plane writes it, users do not.
    """

    api_version: str
    kind: str
    metadata: ObjectMeta
    status: Any = None

    @property
    def key(self) -> ResourceKey:
        group = self.api_version.rpartition("/")[0]
        return ResourceKey(group, self.kind, self.metadata.namespace, self.metadata.name)


def age_order(resource: Resource) -> tuple[str, str, str]:
    """Sort key of Istio's precedence: the oldest first, ties by name, then namespace.

    Source: istio ``SortConfigByCreationTime``.
    """
    meta = resource.metadata
    return (meta.creation_timestamp, meta.name, meta.namespace)
