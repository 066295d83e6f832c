"""What the mesh would have to say of objects that somebody is about to apply."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from clew.api.messages import Applied, finding
from clew.config.finding import FieldPath
from clew.config.parse import Document
from clew.model.diagnostic import Diagnostic
from clew.server.object_standings import Standings
from clew.stores.namespaces import in_namespace

_PART = re.compile(r'\["([^"]*)"\]|\[(\d+)\]|([^.\[]+)')


def with_findings(
    items: Iterable[Applied], documents: Sequence[Document], namespace: str, standings: Standings
) -> list[Applied]:
    """Add the mesh's findings to what a dry run found in the text itself, with their lines.

    ``items`` and ``documents`` go together. The documents are taken to be applied all at once, so
    that one may name another.
    """
    placed = [in_namespace(document, namespace) for document in documents]
    changes = [(d.resource.key, d.resource) for d in placed if d.resource is not None and d.valid]
    found = standings.findings_after(changes) if changes else {}
    return [
        _with(item, document, found[document.resource.key])
        if document.resource is not None and document.resource.key in found
        else item
        for item, document in zip(items, placed, strict=True)
    ]


def _with(item: Applied, document: Document, found: Iterable[Diagnostic]) -> Applied:
    more = []
    for diagnostic in found:
        line, column = document.locate(field_path(diagnostic.place.field))
        message = msgspec.structs.replace(finding(diagnostic), line=line, column=column)
        more.append(message)
    return msgspec.structs.replace(item, diagnostics=(*item.diagnostics, *more))


def field_path(text: str) -> FieldPath:
    """``spec.http[0].timeout`` → ``("spec", "http", 0, "timeout")``"""
    return tuple(
        int(index) if index else quoted or name for quoted, index, name in _PART.findall(text)
    )
