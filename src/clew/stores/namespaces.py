"""The namespace of an object that does not name one."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from clew.config.parse import Document
from clew.model.kinds import kind_for


def in_namespace(document: Document, namespace: str) -> Document:
    """Complete the namespace of a namespaced object, and drop that of a cluster-scoped one."""
    resource = document.resource
    if resource is None:
        return document
    kind = kind_for(resource.api_version, resource.kind)
    wanted = "" if kind is not None and not kind.namespaced else namespace
    if resource.metadata.namespace == wanted or (wanted and resource.metadata.namespace):
        return document
    metadata = {k: v for k, v in document.manifest["metadata"].items() if k != "namespace"}
    if wanted:
        metadata = {"name": metadata.get("name", ""), "namespace": wanted} | metadata
    return replace(
        document,
        manifest={**document.manifest, "metadata": metadata},
        resource=msgspec.structs.replace(
            resource, metadata=msgspec.structs.replace(resource.metadata, namespace=wanted)
        ),
    )
