"""``clew diff``: what files would change in a running mesh."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

import click
import msgspec

from clew.api.answers import ApiError
from clew.api.client import Client
from clew.api.differences import visible
from clew.api.messages import Applied
from clew.cli.apply import echo_problems
from clew.cli.connection import connected, mesh_option, namespace_option
from clew.cli.files import read_files
from clew.cli.output import as_yaml, echo_value, output_option
from clew.cli.references import display_name


@click.command("diff")
@click.option("-f", "--filename", "files", multiple=True, required=True, metavar="FILE|DIR|-")
@click.option("-R", "--recursive", is_flag=True, help="Look below directories, too.")
@namespace_option
@output_option("json", "yaml")
@mesh_option
def command(
    files: tuple[str, ...], recursive: bool, namespace: str, output: str | None, mesh: str
) -> None:
    """Show what `clew apply` of FILES would change, and change nothing.

    Exits with 0 when nothing would change, with 1 when something would or an object is refused.

    \b
    Example:
        clew diff -f reviews-90-10.yaml
    """
    refused, changes = False, []
    with connected(mesh) as client:
        for label, text in read_files(files, recursive=recursive):
            for item in client.apply(text, namespace=namespace, file=label, dry_run=True).items:
                echo_problems(item)
                if item.result == "refused":
                    refused = True
                elif item.result != "unchanged":
                    changes.append((item, _present(client, item)))
    if output is not None:
        echo_value([_change(item, before) for item, before in changes], output)
    else:
        for item, before in changes:
            click.echo("\n".join(_lines(item, before)))
    raise SystemExit(refused or bool(changes))


def _present(client: Client, item: Applied) -> Mapping[str, Any] | None:
    try:
        return client.get(item.key.resource_key())
    except ApiError as error:
        if error.problem.reason == "NotFound":
            return None
        raise


def _change(item: Applied, before: Mapping[str, Any] | None) -> dict[str, Any]:
    after = visible(item.object or {})
    return {"key": item.key, "before": visible(before) if before else None, "after": after}


def _lines(item: Applied, before: Mapping[str, Any] | None) -> Iterator[str]:
    """A unified diff of the object as YAML, without what the store writes itself."""
    name = display_name(item.key.resource_key())
    old = _text(before) if before else []
    where = f"live/{name}" if before else "/dev/null"
    new = _text(item.object or {})
    yield from difflib.unified_diff(old, new, where, f"applied/{name}", lineterm="")


def _text(manifest: Mapping[str, Any]) -> list[str]:
    """In the order of names, as files may have another one than the object has."""
    ordered = msgspec.json.encode(visible(manifest), order="deterministic")
    return as_yaml(msgspec.json.decode(ordered)).splitlines()
