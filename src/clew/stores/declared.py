"""What the files of a directory declare: pure, from texts to objects and problems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from clew.config.parse import parse_documents
from clew.model.base import Resource, ResourceKey
from clew.model.diagnostic import Diagnostic, Place, Severity
from clew.stores.namespaces import in_namespace


@dataclass(frozen=True, slots=True)
class Declared:
    """One object as a file declares it."""

    resource: Resource
    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """One file: what it declares, and what is wrong with it."""

    path: str
    objects: Mapping[ResourceKey, Declared]
    problems: tuple[Diagnostic, ...] = ()


def read_file(path: str, text: str, last: FileState | None) -> FileState:
    """Return what the text declares.

    As long as any of it is wrong, an object that the file declared before and does not declare
    now keeps its last good version: perhaps it is the wrong one, misspelt.
    """
    documents = [in_namespace(document, "default") for document in parse_documents(text, path)]
    problems = [found for document in documents for found in document.diagnostics]
    broken = not all(document.valid for document in documents)
    objects: dict[ResourceKey, Declared] = {}
    for document in documents:
        if document.resource is None or not document.valid:
            continue
        key = document.resource.key
        if key in objects:
            problems.append(_declared_twice(key, path, path))
        else:
            objects[key] = Declared(document.resource, document.manifest)
    kept = last.objects if broken and last is not None else {}
    return FileState(path=path, objects={**kept, **objects}, problems=tuple(problems))


def unreadable(path: str, reason: str, last: FileState | None) -> FileState:
    """A file that cannot be read: what it declared before stays."""
    problem = Diagnostic(
        severity=Severity.ERROR,
        place=Place(file=path),
        problem=f"cannot be read: {reason}",
        hint="what it declared before stays in effect" if last and last.objects else "",
    )
    if last is None:
        return FileState(path=path, objects={}, problems=(problem,))
    return replace(last, problems=(problem,))


def merge(
    files: Iterable[FileState],
) -> tuple[dict[ResourceKey, Declared], tuple[Diagnostic, ...]]:
    """All objects, and all problems. The first file by path wins where two declare the same."""
    objects: dict[ResourceKey, Declared] = {}
    first: dict[ResourceKey, str] = {}
    problems: list[Diagnostic] = []
    for file in sorted(files, key=lambda state: state.path):
        problems.extend(file.problems)
        for key, declared in file.objects.items():
            if key in objects:
                problems.append(_declared_twice(key, file.path, first[key]))
            else:
                objects[key], first[key] = declared, file.path
    return objects, tuple(problems)


def _declared_twice(key: ResourceKey, path: str, first: str) -> Diagnostic:
    where = "further up in this file" if first == path else f"in {first}"
    return Diagnostic(
        severity=Severity.ERROR,
        place=Place(file=path, resource=key),
        problem=f"is declared already {where}; that one is in effect",
        hint="remove one of the two",
    )
