"""The namespace of an object that does not name one."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from clew.config.parse import Document
from clew.model.diagnostic import Diagnostic
from clew.model.kinds import kind_for, kind_of


def in_namespace(document: Document, namespace: str) -> Document:
    """Complete the namespace of a namespaced object, and drop that of a cluster-scoped one.

    What is reported about an object names it in full, even if it is too broken to be one.
    """
    found = tuple(_in_full(diagnostic, namespace) for diagnostic in document.diagnostics)
    document = replace(document, diagnostics=found)
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


def _in_full(diagnostic: Diagnostic, namespace: str) -> Diagnostic:
    key = diagnostic.place.resource
    kind = None if key is None else kind_of(key.group, key.kind)
    if key is None or key.namespace or kind is None or not kind.namespaced:
        return diagnostic
    place = replace(diagnostic.place, resource=key._replace(namespace=namespace))
    return replace(diagnostic, place=place)
