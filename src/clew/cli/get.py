"""``clew get``: list objects."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from clew.api.client import Client
from clew.api.requests import manifest_key
from clew.cli.columns import Column, columns_of
from clew.cli.connection import connected, mesh_option, namespace_option
from clew.cli.output import age, echo_value, output_option, table
from clew.cli.references import (
    display_name,
    key_in,
    kinds_of,
    not_found,
    split_references,
)
from clew.model.base import ResourceKey
from clew.model.kinds import Kind

Manifest = dict[str, Any]


@click.command("get")
@click.argument("arguments", nargs=-1, metavar="KIND[,KIND] [NAME…]")
@namespace_option
@click.option("-A", "--all-namespaces", is_flag=True, help="Objects of all namespaces.")
@click.option("-l", "--selector", default="", help="Only with these labels, as in app=reviews.")
@output_option("json", "yaml", "wide", "name")
@mesh_option
def command(
    arguments: tuple[str, ...],
    namespace: str,
    all_namespaces: bool,
    selector: str,
    output: str | None,
    mesh: str,
) -> None:
    """List objects of one or several kinds; "all" is what runs and all of Istio's kinds.

    \b
    Example:
        clew get vs,dr
        clew get virtualservice reviews -o yaml
    """
    if not arguments:
        raise click.UsageError("name a kind, as in: clew get vs, or clew get all")
    named = len(arguments) > 1 or "/" in arguments[0]
    if named and (selector or all_namespaces):
        raise click.UsageError("names go neither with a selector nor with all namespaces")
    with connected(mesh) as client:
        if named:
            objects = _named(client, arguments, namespace)
        else:
            kinds = kinds_of(arguments[0])
            wanted = "" if all_namespaces else namespace or "default"
            objects = _listed(client, kinds, wanted, selector)
    if output in ("json", "yaml"):
        single = named and len(objects) == 1
        echo_value(objects[0] if single else _as_list(objects), output)
    elif not objects:
        where = "" if all_namespaces else f" in {namespace or 'default'} namespace"
        click.echo(f"No resources found{where}.", err=True)
    elif output == "name":
        click.echo("\n".join(display_name(manifest_key(m)) for m in objects))
    else:
        click.echo(render(objects, datetime.now(UTC), wide=output == "wide", all_=all_namespaces))


def render(objects: Sequence[Manifest], now: datetime, *, wide: bool, all_: bool) -> str:
    """One table per kind. Names carry their kind when there are several."""
    by_kind: dict[tuple[str, str], list[Manifest]] = {}
    for manifest in objects:
        key = manifest_key(manifest)
        by_kind.setdefault((key.group, key.kind), []).append(manifest)
    tables = []
    for kind, manifests in by_kind.items():
        columns = [c for c in columns_of(kind, manifests) if wide or not c.wide]
        rows = [_header(columns, all_)]
        rows += [_row(m, columns, now, all_, prefix=len(by_kind) > 1) for m in manifests]
        tables.append(table(rows))
    return "\n\n".join(tables)


def _header(columns: Sequence[Column], all_: bool) -> list[str]:
    namespace = ["NAMESPACE"] if all_ else []
    narrow = [column.header for column in columns if not column.wide]
    wide = [column.header for column in columns if column.wide]
    return [*namespace, "NAME", *narrow, "AGE", *wide]


def _row(
    manifest: Manifest, columns: Sequence[Column], now: datetime, all_: bool, *, prefix: bool
) -> list[str]:
    key = manifest_key(manifest)
    name = display_name(key) if prefix else key.name
    created = age(manifest["metadata"].get("creationTimestamp", ""), now)
    narrow = [column.cell(manifest) for column in columns if not column.wide]
    wide = [column.cell(manifest) for column in columns if column.wide]
    return [*([key.namespace] if all_ else []), name, *narrow, created, *wide]


def _listed(client: Client, kinds: Sequence[Kind], namespace: str, selector: str) -> list[Manifest]:
    order = {(kind.group, kind.kind): position for position, kind in enumerate(kinds)}
    names = [kind.kind for kind in kinds]
    listed = client.list(kinds=names, namespace=namespace, selector=selector)
    keyed = [(manifest_key(manifest), manifest) for manifest in listed.items]
    chosen = [(key, m) for key, m in keyed if (key.group, key.kind) in order]
    chosen.sort(key=lambda pair: (order[pair[0].group, pair[0].kind], pair[0]))
    return [manifest for _, manifest in chosen]


def _named(client: Client, arguments: Sequence[str], namespace: str) -> list[Manifest]:
    """The objects in the order in which they are named."""
    found = []
    for kind, name in split_references(arguments):
        key = key_in(kind, namespace, name)
        found.append(existing(client, key, kind))
    return found


def existing(client: Client, key: ResourceKey, kind: Kind) -> Manifest:
    """The object, or an error that offers what is called similarly."""
    manifests = {manifest_key(m): m for m in _listed(client, [kind], key.namespace, "")}
    if key not in manifests:
        raise not_found(key, [other.name for other in manifests])
    return manifests[key]


def _as_list(objects: Sequence[Manifest]) -> Manifest:
    return {"apiVersion": "v1", "kind": "List", "items": list(objects)}
