"""Rules for references to other objects, which are alike in all kinds of the Gateway API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from clew.config.finding import FieldPath, Finding
from clew.config.validate.gateway_api.formats import (
    GROUP,
    KIND,
    NAMESPACE,
    OBJECT_NAME,
    SECTION_NAME,
    check_count,
    check_number,
    check_text,
)
from clew.config.validate.hosts import check_port
from clew.model.gateway_api.references import (
    BackendRef,
    LocalPolicyTargetReference,
    ParentReference,
)


class Named(Protocol):
    """A reference to an object of the same namespace."""

    @property
    def group(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...


class Placed(Named, Protocol):
    """A reference that may name a namespace."""

    @property
    def namespace(self) -> str | None: ...


class Backend(Placed, Protocol):
    @property
    def port(self) -> int | None: ...


class WeightedBackend(Backend, Protocol):
    @property
    def weight(self) -> int: ...


def check_named(reference: Named, path: FieldPath) -> Iterator[Finding]:
    yield from check_text(reference.group, GROUP, (*path, "group"))
    yield from check_text(reference.kind, KIND, (*path, "kind"))
    yield from check_text(reference.name, OBJECT_NAME, (*path, "name"))


def check_placed(reference: Placed, path: FieldPath) -> Iterator[Finding]:
    yield from check_named(reference, path)
    yield from check_text(reference.namespace, NAMESPACE, (*path, "namespace"))


def check_backend(backend: Backend, path: FieldPath) -> Iterator[Finding]:
    yield from check_placed(backend, path)
    yield from check_port(backend.port, (*path, "port"))
    if (backend.group, backend.kind) == ("", "Service") and backend.port is None:
        yield Finding(path, f'the Service "{backend.name}" needs a port')


def check_weighted_backend(backend: WeightedBackend, path: FieldPath) -> Iterator[Finding]:
    yield from check_backend(backend, path)
    yield from check_number(backend.weight, 0, 1_000_000, (*path, "weight"))


def check_backends(
    backends: Sequence[BackendRef], path: FieldPath, *, least: int = 0
) -> Iterator[Finding]:
    yield from check_count(backends, 16, path, least=least)
    for index, backend in enumerate(backends):
        yield from check_weighted_backend(backend, (*path, index))


def check_parents(parents: tuple[ParentReference, ...]) -> Iterator[Finding]:
    """Two references to one parent are told apart by section or port, in the same way each."""
    path: FieldPath = ("spec", "parentRefs")
    yield from check_count(parents, 32, path)
    ways: dict[tuple[str, ...], tuple[bool, bool]] = {}
    seen: set[tuple[object, ...]] = set()
    for index, parent in enumerate(parents):
        at = (*path, index)
        yield from check_placed(parent, at)
        yield from check_text(parent.section_name, SECTION_NAME, (*at, "sectionName"))
        yield from check_port(parent.port, (*at, "port"))
        key = (parent.group, parent.kind, parent.namespace or "", parent.name)
        way = (bool(parent.section_name), bool(parent.port))
        if ways.setdefault(key, way) != way:
            problem = "references to the same parent must all have a sectionName or port, or none"
            yield Finding(at, problem)
        elif (part := (*key, parent.section_name, parent.port)) in seen:
            yield Finding(at, f'a reference to "{parent.name}" is there twice')
        else:
            seen.add(part)


def check_policy_targets(targets: tuple[LocalPolicyTargetReference, ...]) -> Iterator[Finding]:
    """One to sixteen objects; parts of one object are told apart by ``sectionName``."""
    path: FieldPath = ("spec", "targetRefs")
    yield from check_count(targets, 16, path, least=1)
    ways: dict[tuple[str, ...], bool] = {}
    seen: set[tuple[object, ...]] = set()
    for index, target in enumerate(targets):
        at = (*path, index)
        yield from check_named(target, at)
        yield from check_text(target.section_name, SECTION_NAME, (*at, "sectionName"))
        key = (target.group, target.kind, target.name)
        if ways.setdefault(key, bool(target.section_name)) != bool(target.section_name):
            yield Finding(at, "references to the same target must all have a sectionName, or none")
        elif (part := (*key, target.section_name)) in seen:
            yield Finding(at, f'a reference to "{target.name}" is there twice')
        else:
            seen.add(part)
