"""Patches ready to be applied: what they match, and their value as Envoy's message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from google.protobuf.json_format import ParseError
from google.protobuf.message import Message

from clew.model.envoy_filter import (
    ApplyTo,
    EnvoyConfigObjectMatch,
    EnvoyConfigObjectPatch,
    FilterClass,
    ListenerMatch,
    PatchContext,
    PatchOperation,
    RouteConfigurationMatch,
)
from clew.model.envoy_messages import PATCHED, missing_extension, read_message
from clew.snapshot.envoy_filters import PatchKey, SelectedPatch

# In how many places each patch made a difference.
Applied = Counter[PatchKey]
MERGES = frozenset({PatchOperation.MERGE, PatchOperation.MERGE_AND_REPLACE_LIST})
FILTERS = frozenset({ApplyTo.NETWORK_FILTER, ApplyTo.HTTP_FILTER, ApplyTo.LISTENER_FILTER})

_LISTENER, _ROUTES = ListenerMatch(), RouteConfigurationMatch()
_OPERATION = PatchOperation.INVALID


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """One patch. ``value`` is None only for REMOVE. It is shared: copy it before changing it."""

    key: PatchKey
    operation: PatchOperation
    match: EnvoyConfigObjectMatch
    value: Message | None = None
    filter_class: FilterClass = FilterClass.UNSPECIFIED

    @property
    def listener(self) -> ListenerMatch:
        return self.match.listener or _LISTENER

    @property
    def routes(self) -> RouteConfigurationMatch:
        return self.match.route_configuration or _ROUTES

    @property
    def merges(self) -> bool:
        return self.operation in MERGES

    @property
    def replaces_lists(self) -> bool:
        return self.operation is PatchOperation.MERGE_AND_REPLACE_LIST

    def holds_in(self, context: PatchContext) -> bool:
        return self.match.context in (None, PatchContext.ANY, context)


Patches = Mapping[ApplyTo, tuple[Patch, ...]]


def read_patches(selected: tuple[SelectedPatch, ...]) -> Patches:
    """Return the patches by what they apply to, in order, those with a problem left out."""
    found: dict[ApplyTo, list[Patch]] = {}
    for each in selected:
        kind = each.patch.apply_to
        if each.meant and kind is not None and not problem_of(each.patch):
            found.setdefault(kind, []).append(_read(each))
    return {apply_to: tuple(patches) for apply_to, patches in found.items()}


def problem_of(patch: EnvoyConfigObjectPatch) -> str:
    """Return why a patch cannot be applied anywhere, "" if it can.

    Envoy would refuse a whole listener for one filter that it does not know.
    """
    if patch.patch is None or patch.patch.operation is None:
        return "it does not say how to patch"
    if patch.apply_to is None or patch.apply_to not in PATCHED:
        return "it does not say what to patch"
    value = patch.patch.value
    if patch.patch.operation is PatchOperation.REMOVE:
        return ""
    if value is None:
        return "it has no value"
    if missing := missing_extension(value):
        return f"this Envoy does not have {missing}"
    try:
        message = read_message(value, PATCHED[patch.apply_to])
    except ParseError as error:
        return str(error)
    places_filter = patch.apply_to in FILTERS and patch.patch.operation not in MERGES
    if places_filter and message.WhichOneof("config_type") is None:
        return "a filter needs a typed_config"
    return ""


def _read(selected: SelectedPatch) -> Patch:
    config = selected.patch
    assert config.apply_to is not None
    assert config.patch is not None
    value, removes = config.patch.value, config.patch.operation is PatchOperation.REMOVE
    return Patch(
        key=selected.key,
        operation=config.patch.operation or _OPERATION,
        match=config.match or EnvoyConfigObjectMatch(),
        value=None if value is None or removes else read_message(value, PATCHED[config.apply_to]),
        filter_class=config.patch.filter_class or FilterClass.UNSPECIFIED,
    )


def of_kinds(patches: Patches, kinds: Iterable[ApplyTo]) -> bool:
    return any(kind in patches for kind in kinds)


def in_context(patches: Patches, kind: ApplyTo, context: PatchContext) -> Iterator[Patch]:
    return (patch for patch in patches.get(kind, ()) if patch.holds_in(context))
