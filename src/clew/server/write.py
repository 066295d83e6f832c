"""One request's writes: validate, compose with what is stored, apply with a revision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clew.api.messages import Applied, Key, Result, finding, key_message
from clew.config.parse import Document, parse_manifest
from clew.model.base import Resource, ResourceKey
from clew.model.core_service import CoreService
from clew.model.kinds import kind_for
from clew.server.redaction import REDACTED, is_redacted, redacted
from clew.server.replies import BadRequest
from clew.server.standing import has_standing
from clew.stores.namespaces import in_namespace
from clew.stores.revise import Stamp, check_revision, existing, revised, timestamp
from clew.stores.store import Conflict, Store, Stored

# Another writer's change between our read and our write is read and composed with again.
_ATTEMPTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Writes for one author; a dry run decides everything and stores nothing."""

    store: Store
    now: Callable[[], datetime]
    author: str
    dry_run: bool = False

    async def apply(
        self, document: Document, namespace: str, *, only: ResourceKey | None = None
    ) -> Applied:
        """Create or replace one object, or say why not. ``only``: the object that it must be."""
        document = in_namespace(document, namespace)
        if document.resource is None or not document.valid:
            return _refused(document)
        if is_redacted(document.manifest):
            problem = f'its values are "{REDACTED}", as they are shown: send the real ones'
            return _refused(document, problem)
        if not document.resource.metadata.name:
            return _refused(document, "metadata.name is missing; generateName cannot be applied")
        if only is not None and document.resource.key != only:
            raise BadRequest(f"the path names {only}, and the body {document.resource.key}")
        try:
            expected = _expected_revision(document.resource)
            current, stored = await self._compose(document, expected)
        except Conflict as error:
            return _refused(document, str(error))
        return _applied(current, stored, document)

    async def bring_back(self, manifest: Mapping[str, Any]) -> Applied:
        """Apply an earlier manifest, and call that a rollback."""
        document = parse_manifest(manifest)
        if document.resource is None or not document.valid:
            return _refused(document)
        current, stored = await self._compose(document, None, action="rollback")
        return _applied(current, stored, document)

    async def apply_status(self, key: ResourceKey, status: Any) -> Stored:
        """Replace the status alone. Raises: NotFound, BadRequest."""
        for _ in range(_ATTEMPTS):
            current = existing(await self.store.get(key), key)
            document = parse_manifest({**current.manifest, "status": status})
            if document.resource is None:
                problems = "; ".join(found.problem for found in document.diagnostics)
                raise BadRequest(f"this is no status of a {key.kind}: {problems}")
            try:
                return await self._store(document, current, current.revision, "")
            except Conflict:
                continue
        raise Conflict(f"{key} changes faster than its status can be written")

    async def delete(self, key: ResourceKey, expected_revision: int | None) -> Applied:
        if self.dry_run:
            current = existing(await self.store.get(key), key)
            check_revision(current, key, expected_revision)
            return Applied(key=key_message(key), result="deleted", revision=current.revision)
        revision = await self.store.delete(
            key, author=self.author, expected_revision=expected_revision
        )
        return Applied(key=key_message(key), result="deleted", revision=revision)

    async def _compose(
        self, document: Document, expected: int | None, *, action: str = ""
    ) -> tuple[Stored | None, Stored]:
        """Write the document with what it cannot know; return the object before and after.

        Status belongs to the control plane. Only an object that has none takes it from the
        document, which is how a Pod from a file gets its address; configuration never does. A
        Service keeps its address.
        """
        assert document.resource is not None
        key = document.resource.key
        for _ in range(_ATTEMPTS):
            current = await self.store.get(key)
            check_revision(current, key, expected)
            merged = _with_address_of(_with_status_of(document, current), current)
            revision = 0 if current is None else current.revision
            try:
                return current, await self._store(merged, current, revision, action)
            except Conflict:
                if expected is not None:
                    raise
        raise Conflict(f"{key} changes faster than it can be written; try again")

    async def _store(
        self, document: Document, current: Stored | None, revision: int, action: str
    ) -> Stored:
        assert document.resource is not None
        if self.dry_run:
            stamp = Stamp(revision=revision, at=timestamp(self.now()), uid="")
            return revised(current, document.resource, document.manifest, stamp)
        return await self.store.apply(
            document.resource,
            document.manifest,
            author=self.author,
            expected_revision=revision,
            action=action,
        )


def _with_status_of(document: Document, current: Stored | None) -> Document:
    status = current.manifest.get("status") if current is not None else None
    if status is not None:
        return parse_manifest({**document.manifest, "status": status})
    if "status" in document.manifest and document.resource and has_standing(document.resource.key):
        return parse_manifest({k: v for k, v in document.manifest.items() if k != "status"})
    return document


def _with_address_of(document: Document, current: Stored | None) -> Document:
    """Clients hold on to a Service's address, so applying its file again must not take it away.

    Source: Kubernetes' API server, where ``clusterIP`` stays when an update leaves it out.
    """
    if current is None or not isinstance(current.resource, CoreService):
        return document
    service, address = document.resource, current.resource.spec.cluster_ip
    assert isinstance(service, CoreService)
    if not address or service.spec.cluster_ip or service.spec.type == "ExternalName":
        return document
    spec = {**document.manifest.get("spec", {}), "clusterIP": address}
    return parse_manifest({**document.manifest, "spec": spec})


def _expected_revision(resource: Resource) -> int | None:
    text = resource.metadata.resource_version
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise Conflict(f'{resource.key}: metadata.resourceVersion "{text}" is not of this mesh')
    return int(text)


def _applied(current: Stored | None, stored: Stored, document: Document) -> Applied:
    result: Result = "created" if current is None else "configured"
    if current is not None and stored.manifest == current.manifest:
        result = "unchanged"
    return Applied(
        key=key_message(stored.key),
        result=result,
        revision=stored.revision,
        object=redacted(stored.manifest),
        diagnostics=tuple(finding(found) for found in document.diagnostics),
    )


def _refused(document: Document, error: str = "") -> Applied:
    return Applied(
        key=_claimed_key(document.manifest),
        result="refused",
        error=error,
        diagnostics=tuple(finding(found) for found in document.diagnostics),
    )


def _claimed_key(manifest: Any) -> Key:
    """What an object that may be wrong in every way says that it is."""
    if not isinstance(manifest, Mapping):
        return Key()
    metadata = manifest.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    version, kind = str(manifest.get("apiVersion", "")), str(manifest.get("kind", ""))
    known = kind_for(version, kind)
    return Key(
        group=known.group if known else version.rpartition("/")[0],
        kind=kind,
        namespace=str(metadata.get("namespace", "")),
        name=str(metadata.get("name", "")),
    )
