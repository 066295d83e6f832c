"""``clew delete``: delete objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from clew.api.answers import ApiError
from clew.api.client import Client
from clew.api.messages import Applied
from clew.api.requests import manifest_key
from clew.cli.connection import (
    author,
    connected,
    dry_run_option,
    mesh_option,
    namespace_option,
)
from clew.cli.files import read_files
from clew.cli.output import echo_value, output_option
from clew.cli.references import display_kind, key_in, kinds_of, not_found, split_references
from clew.model.base import ResourceKey
from clew.model.kinds import kind_for


@click.command("delete")
@click.argument("arguments", nargs=-1, metavar="[KIND NAME…]")
@click.option("-f", "--filename", "files", multiple=True, metavar="FILE|DIR|-")
@click.option("-R", "--recursive", is_flag=True, help="Look below directories, too.")
@click.option("--all", "all_", is_flag=True, help="All objects of the kind in the namespace.")
@click.option("-l", "--selector", default="", help="Those with these labels, as in app=reviews.")
@click.option("--ignore-not-found", is_flag=True, help="What is gone already is no error.")
@namespace_option
@dry_run_option
@output_option("json", "yaml", "name")
@mesh_option
def command(
    arguments: tuple[str, ...],
    files: tuple[str, ...],
    recursive: bool,
    all_: bool,
    selector: str,
    ignore_not_found: bool,
    namespace: str,
    dry_run: str,
    output: str | None,
    mesh: str,
) -> None:
    """Delete objects by name, by label, or those that FILES hold.

    Exits with 1 when one of them was not there; the others are deleted.

    \b
    Example:
        clew delete vs reviews
        clew delete -f samples/
    """
    if bool(arguments) == bool(files):
        raise click.UsageError("name objects (clew delete vs reviews) or files (-f), one of both")
    deleted: list[Applied] = []
    missing = False
    with connected(mesh) as client:
        if files:
            keys = list(_keys_of_files(files, recursive, namespace))
        elif all_ or selector:
            keys = _keys_of_kind(client, arguments, namespace, selector)
        else:
            keys = [key_in(kind, namespace, name) for kind, name in split_references(arguments)]
        for key in keys:
            try:
                deleted.append(client.delete(key, author=author(), dry_run=dry_run == "server"))
            except ApiError as error:
                if error.problem.reason != "NotFound":
                    raise
                if not ignore_not_found:
                    missing = True
                    _not_there(client, key).show()
                continue
            if output is None:
                _echo(key, dry_run)
    if output == "name":
        click.echo("\n".join(f"{display_kind(key)}/{key.name}" for key in _keys(deleted)))
    elif output is not None:
        echo_value({"items": deleted, "dryRun": dry_run == "server"}, output)
    raise SystemExit(missing)


def _echo(key: ResourceKey, dry_run: str) -> None:
    where = f" from {key.namespace} namespace" if key.namespace else ""
    suffix = " (server dry run)" if dry_run == "server" else ""
    click.echo(f'{display_kind(key)} "{key.name}" deleted{where}{suffix}')


def _keys(deleted: Sequence[Applied]) -> list[ResourceKey]:
    return [item.key.resource_key() for item in deleted]


def _keys_of_kind(
    client: Client, arguments: Sequence[str], namespace: str, selector: str
) -> list[ResourceKey]:
    if len(arguments) != 1 or "/" in arguments[0]:
        raise click.UsageError("name the kinds alone with --all or a selector")
    kinds = kinds_of(arguments[0])
    known = {(kind.group, kind.kind) for kind in kinds}
    listed = client.list(
        kinds=[kind.kind for kind in kinds], namespace=namespace or "default", selector=selector
    )
    keys = [manifest_key(manifest) for manifest in listed.items]
    return [key for key in keys if (key.group, key.kind) in known]


def _keys_of_files(
    files: tuple[str, ...], recursive: bool, namespace: str
) -> Iterator[ResourceKey]:
    """What the files name. Nothing else in them needs to be valid."""
    from clew.config.parse import parse_documents

    for label, text in read_files(files, recursive=recursive):
        for document in parse_documents(text, label):
            yield _key_of(document.manifest, namespace, document.diagnostics)


def _key_of(manifest: Any, namespace: str, diagnostics: Sequence[object]) -> ResourceKey:
    version, name = str(manifest.get("apiVersion", "")), str(manifest.get("kind", ""))
    kind, metadata = kind_for(version, name), manifest.get("metadata")
    if kind is None or not isinstance(metadata, dict) or not metadata.get("name"):
        reasons = "\n".join(str(found) for found in diagnostics)
        raise click.ClickException(f"a document does not say which object it is\n{reasons}")
    return key_in(kind, str(metadata.get("namespace") or namespace), str(metadata["name"]))


def _not_there(client: Client, key: ResourceKey) -> click.ClickException:
    listed = client.list(kinds=[key.kind], namespace=key.namespace)
    return not_found(key, [manifest["metadata"]["name"] for manifest in listed.items])
