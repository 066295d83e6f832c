"""The objects part of the admin API: list, read, write, history, rollback, watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from clew.api.messages import (
    ApplyReport,
    ChangeItem,
    Changes,
    History,
    HistoryItem,
    ObjectList,
    Problem,
    key_message,
)
from clew.config.parse import parse_documents
from clew.model.base import ResourceKey
from clew.server.dry_run import with_findings
from clew.server.label_selector import selector
from clew.server.object_standings import LONGEST_WAIT, Standings, manifest_of, settled
from clew.server.redaction import redacted
from clew.server.replies import BadRequest, body_of, flag, key_of, number, reply, text_of
from clew.server.standing import is_acknowledged
from clew.server.streams import until
from clew.server.write import Writer
from clew.stores.revise import written
from clew.stores.store import Change, Expired, HistoryEntry, NotFound, Store, Stored

# What a request is told of a manifest.
Show = Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """The routes below ``/v1/objects``, ``/v1/apply`` and ``/v1/watch``."""

    store: Store
    now: Callable[[], datetime]
    author_of: Callable[[Request], str]
    closing: asyncio.Event
    standings: Standings | None = None

    def routes(self) -> list[Route]:
        one = "/v1/objects/{group}/{kind}/{namespace}/{name}"
        return [
            Route("/v1/objects", self.list, methods=["GET"]),
            Route(one, self.read, methods=["GET"]),
            Route(one, self.write, methods=["PUT"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(f"{one}/status", self.write_status, methods=["PUT"]),
            Route(f"{one}/status", self.status, methods=["GET"]),
            Route(f"{one}/history", self.history, methods=["GET"]),
            Route(f"{one}/rollback", self.rollback, methods=["POST"]),
            Route("/v1/apply", self.apply, methods=["POST"]),
            Route("/v1/watch", self.watch, methods=["GET"]),
        ]

    async def list(self, request: Request) -> Response:
        query = request.query_params
        kinds = frozenset(filter(None, query.get("kind", "").split(",")))
        namespace = query.get("namespace", "")
        selects = selector(query.get("labelSelector", ""))
        show = _outlined if _is_outlined(request) else partial(_shown, request)
        revision, objects = await self.store.list()
        found = [
            show(manifest_of(stored, self.standings))
            for stored in sorted(objects, key=lambda stored: stored.key)
            if (not kinds or stored.key.kind in kinds)
            and (not namespace or stored.key.namespace in (namespace, ""))
            and selects(stored.resource.metadata.labels)
        ]
        return reply(ObjectList(revision=revision, items=tuple(found)))

    async def read(self, request: Request) -> Response:
        found = manifest_of(await self._existing(key_of(request)), self.standings)
        return reply(_shown(request, found))

    async def status(self, request: Request) -> Response:
        """Whether the object is in force; with ``wait`` (seconds), once that is settled."""
        key = key_of(request)
        seconds = min(number(request, "wait") or 0, LONGEST_WAIT)
        await self._existing(key)
        if self.standings is None or not is_acknowledged(key):
            raise BadRequest(f"proxies do not acknowledge a {key.kind}")
        found = await settled(key, self.store, self.standings, seconds, self.closing)
        return reply(found)

    async def write(self, request: Request) -> Response:
        key, body = key_of(request), await body_of(request)
        documents = parse_documents(body, text_of(request, "file"))
        if len(documents) != 1:
            raise BadRequest(f"PUT takes one object, and the body has {len(documents)}")
        applied = await self._writer(request).apply(documents[0], key.namespace, only=key)
        return reply(applied, status=_status(applied.error, applied.result))

    async def apply(self, request: Request) -> Response:
        """Each document on its own, as kubectl does: the valid ones are applied.

        A dry run also says what the mesh would have to say of them.
        """
        text, namespace = await body_of(request), text_of(request, "namespace") or "default"
        writer = self._writer(request)
        documents = parse_documents(text, text_of(request, "file"))
        items = [await writer.apply(document, namespace) for document in documents]
        if writer.dry_run and self.standings is not None:
            items = with_findings(items, documents, namespace, self.standings)
        return reply(ApplyReport(items=tuple(items), dry_run=writer.dry_run))

    async def write_status(self, request: Request) -> Response:
        key, body = key_of(request), await body_of(request)
        try:
            status = msgspec.json.decode(body)
        except msgspec.DecodeError as error:
            raise BadRequest(f"the body is not JSON: {error}") from error
        if isinstance(status, dict) and "status" in status:
            status = status["status"]
        return reply(redacted((await self._writer(request).apply_status(key, status)).manifest))

    async def delete(self, request: Request) -> Response:
        key = key_of(request)
        return reply(await self._writer(request).delete(key, number(request, "revision")))

    async def history(self, request: Request) -> Response:
        key = key_of(request)
        entries = await self.store.history(key)
        if not entries:
            await self._existing(key)
        return reply(History(items=tuple(_history_item(entry) for entry in entries)))

    async def rollback(self, request: Request) -> Response:
        key = key_of(request)
        entries = await self.store.history(key)
        revision, manifest = _earlier(key, entries, number(request, "revision"))
        applied = await self._writer(request).bring_back(written(manifest))
        applied = msgspec.structs.replace(applied, restored=revision)
        return reply(applied, status=_status(applied.error, applied.result))

    async def watch(self, request: Request) -> Response:
        """A line of JSON per batch of changes, until either side closes."""
        since = number(request, "since")
        kinds = frozenset(filter(None, request.query_params.get("kind", "").split(",")))
        if since is None:
            since = await self.store.revision()
        show = partial(_shown, request)
        return StreamingResponse(self._lines(since, kinds, show), media_type="application/x-ndjson")

    async def _lines(self, since: int, kinds: frozenset[str], show: Show) -> AsyncIterator[bytes]:
        # An empty first line at once: the client knows that it is connected.
        yield _line(Changes(revision=since))
        try:
            async for batch in until(self.closing, self.store.watch(since)):
                yield _line(_changes(batch, kinds, show))
        except Expired as error:
            yield _line(
                Changes(revision=since, error=Problem(reason="Expired", message=str(error)))
            )

    async def _existing(self, key: ResourceKey) -> Stored:
        stored = await self.store.get(key)
        if stored is None:
            raise NotFound(f"there is no {key}")
        return stored

    def _writer(self, request: Request) -> Writer:
        return Writer(
            store=self.store,
            now=self.now,
            author=text_of(request, "author") or self.author_of(request),
            dry_run=flag(request, "dryRun"),
        )


def _status(error: str, result: str) -> int:
    return {"created": 201, "refused": 409 if error else 422}.get(result, 200)


def _line(changes: Changes) -> bytes:
    return msgspec.json.encode(changes) + b"\n"


def _shown(request: Request, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a request is told of an object: secrets only if it asks for them.

    Over TCP, nobody but an admin can.
    """
    wanted = text_of(request, "secrets")
    if wanted not in ("", "values"):
        raise BadRequest(f'secrets is "values", or it is left out; it is not "{wanted}"')
    return dict(manifest) if wanted else redacted(manifest)


def _is_outlined(request: Request) -> bool:
    wanted = text_of(request, "only")
    if wanted not in ("", "status"):
        raise BadRequest(f'only is "status", or it is left out; it is not "{wanted}"')
    return bool(wanted)


_OUTLINE = ("name", "namespace", "labels", "uid", "generation", "creationTimestamp")


def _outlined(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What an object is and how it stands, without what somebody wrote in it."""
    shown = {each: manifest[each] for each in ("apiVersion", "kind", "status") if each in manifest}
    metadata = manifest["metadata"]
    return {**shown, "metadata": {each: metadata[each] for each in _OUTLINE if each in metadata}}


def _changes(batch: Sequence[Change], kinds: frozenset[str], show: Show) -> Changes:
    chosen = [change for change in batch if not kinds or change.key.kind in kinds]
    return Changes(
        revision=batch[-1].revision, changes=tuple(_change_item(change, show) for change in chosen)
    )


def _change_item(change: Change, show: Show) -> ChangeItem:
    manifest = None if change.stored is None else show(change.stored.manifest)
    return ChangeItem(key=key_message(change.key), revision=change.revision, object=manifest)


def _history_item(entry: HistoryEntry) -> HistoryItem:
    return HistoryItem(
        revision=entry.revision,
        at=entry.at,
        author=entry.author,
        action=entry.action,
        object=None if entry.manifest is None else redacted(entry.manifest),
    )


def _earlier(
    key: ResourceKey, entries: Sequence[HistoryEntry], revision: int | None
) -> tuple[int, Mapping[str, Any]]:
    """What to bring back: that of ``revision``, else the one before the newest."""
    if not entries:
        raise NotFound(f"there is no {key}, and never was")
    if revision is None:
        for entry in entries[1:]:
            if entry.manifest is not None:
                return entry.revision, entry.manifest
        raise NotFound(f"the history of {key} has no earlier revision to go back to")
    for entry in entries:
        if entry.revision == revision:
            if entry.manifest is None:
                raise NotFound(f"{key} was deleted in revision {revision}: choose another")
            return entry.revision, entry.manifest
    known = ", ".join(str(entry.revision) for entry in entries[:10])
    raise NotFound(f"{key} has no revision {revision}; its newest are: {known or 'none'}")
