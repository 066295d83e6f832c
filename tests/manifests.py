"""Resources out of the YAML that tests write."""

from __future__ import annotations

import msgspec

from clew.config.parse import parse_documents
from clew.model.base import Resource
from clew.model.kinds import kind_for


def resources_of(text: str) -> list[Resource]:
    """The good objects of ``text``; those without a namespace are in ``default``."""
    found = (each.resource for each in parse_documents(text) if each.valid)
    return [_placed(resource) for resource in found if resource is not None]


def _placed(resource: Resource) -> Resource:
    kind = kind_for(resource.api_version, resource.kind)
    if resource.metadata.namespace or kind is None or not kind.namespaced:
        return resource
    metadata = msgspec.structs.replace(resource.metadata, namespace="default")
    return msgspec.structs.replace(resource, metadata=metadata)
