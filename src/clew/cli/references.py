"""The kinds and objects that people name: ``vs reviews``, ``vs/reviews``, ``vs,dr``, ``all``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from clew.config.structure import did_you_mean
from clew.model.base import ResourceKey
from clew.model.kinds import KINDS, Kind, find_kind

# What `get all` shows: what runs, and Istio's objects. ConfigMaps and Secrets are not shown, as
# in kubectl.
_ISTIO_GROUPS = ("networking.istio.io", "security.istio.io", "telemetry.istio.io")
_RUNNING = (("", "Pod"), ("", "Service"), ("apps", "Deployment"), ("apps", "StatefulSet"))


def kinds_of(text: str) -> tuple[Kind, ...]:
    """The kinds of ``vs,dr`` or ``all``. Raises: click.UsageError with what is similar."""
    if text.lower() == "all":
        return tuple(
            kind
            for kind in KINDS
            if (kind.group, kind.kind) in _RUNNING or kind.group in _ISTIO_GROUPS
        )
    return tuple(kind_named(part) for part in text.split(",") if part)


def kind_named(text: str) -> Kind:
    """One kind. Raises: click.UsageError with what is similar."""
    found = find_kind(text)
    if found is not None:
        return found
    known = [name for kind in KINDS for name in (kind.plural, kind.kind.lower())]
    hint = did_you_mean(text.lower(), known) or "kinds are, for example, vs, dr, gw, svc, pods"
    raise click.UsageError(f'there is no kind "{text}"\n  hint: {hint}')


def split_references(arguments: Sequence[str]) -> list[tuple[Kind, str]]:
    """Kind and name of ``KIND NAME…`` or ``KIND/NAME…``. Raises: click.UsageError."""
    if not arguments:
        raise click.UsageError("name a kind and an object, as in: vs reviews, or vs/reviews")
    if any("/" in argument for argument in arguments):
        return [_slashed(argument) for argument in arguments]
    kind, names = kind_named(arguments[0]), arguments[1:]
    if not names:
        raise click.UsageError(f"name the {kind.kind}, as in: {arguments[0]} NAME")
    return [(kind, name) for name in names]


def one_reference(arguments: Sequence[str]) -> tuple[Kind, str]:
    """Kind and name of exactly one object. Raises: click.UsageError."""
    references = split_references(arguments)
    if len(references) > 1:
        raise click.UsageError("name one object")
    return references[0]


def key_in(kind: Kind, namespace: str, name: str) -> ResourceKey:
    return ResourceKey(
        kind.group, kind.kind, (namespace or "default") if kind.namespaced else "", name
    )


def not_found(key: ResourceKey, names: Iterable[str]) -> click.ClickException:
    """The error for an object that is not there, with the name that was probably meant."""
    hint = did_you_mean(key.name, list(names))
    return click.ClickException(f"there is no {key}" + (f"\n  hint: {hint}" if hint else ""))


def display_name(key: ResourceKey) -> str:
    """``virtualservice.networking.istio.io/reviews``, as kubectl writes it."""
    return f"{display_kind(key)}/{key.name}"


def display_kind(key: ResourceKey) -> str:
    group = f".{key.group}" if key.group else ""
    return f"{key.kind.lower()}{group}"


def _slashed(argument: str) -> tuple[Kind, str]:
    kind, slash, name = argument.partition("/")
    if not slash or not name:
        raise click.UsageError(f'"{argument}" does not name an object: write KIND/NAME')
    return kind_named(kind), name
