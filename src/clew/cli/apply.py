"""``clew apply``: create or change configuration."""

from __future__ import annotations

from collections.abc import Iterable

import click
import msgspec

from clew.api.messages import Applied, ApplyReport
from clew.cli.connection import (
    author,
    connected,
    dry_run_option,
    mesh_option,
    namespace_option,
)
from clew.cli.files import read_files
from clew.cli.output import echo_value, output_option
from clew.cli.references import display_name
from clew.cli.wait import echo_standings, timeout_option, wait_for
from clew.model.base import ResourceKey


@click.command("apply")
@click.option("-f", "--filename", "files", multiple=True, required=True, metavar="FILE|DIR|-")
@click.option("-R", "--recursive", is_flag=True, help="Look below directories, too.")
@namespace_option
@dry_run_option
@click.option("--wait", is_flag=True, help="Until proxies have acknowledged what was applied.")
@timeout_option
@output_option("json", "yaml")
@mesh_option
def command(
    files: tuple[str, ...],
    recursive: bool,
    namespace: str,
    dry_run: str,
    wait: bool,
    timeout: int,
    output: str | None,
    mesh: str,
) -> None:
    """Create or change the objects of FILES in a running mesh.

    Every document stands on its own: an invalid one is refused with all its problems, and the
    others are applied. Exits with 1 when one was refused, or with --wait is not in force.

    \b
    Example:
        clew apply -f reviews-90-10.yaml
    """
    dry = dry_run == "server"
    items: list[Applied] = []
    with connected(mesh) as client:
        for label, text in read_files(files, recursive=recursive):
            report = client.apply(
                text, namespace=namespace, author=author(), file=label, dry_run=dry
            )
            if output is None:
                _echo(report)
            items.extend(report.items)
        waited = wait_for(client, _acknowledged(items), timeout) if wait and not dry else []
    if output is not None:
        echo_value(ApplyReport(items=tuple(items), dry_run=dry), output)
    elif not items:
        raise click.UsageError("the files hold no objects")
    echo_standings(waited if output is None else ())
    refused = any(item.result == "refused" for item in items)
    raise SystemExit(refused or not all(each.in_force for each in waited))


def _acknowledged(items: Iterable[Applied]) -> list[ResourceKey]:
    """The objects of which proxies are told, each once."""
    from clew.server.standing import is_acknowledged

    keys = [item.key.resource_key() for item in items if item.result != "refused"]
    return [key for key in dict.fromkeys(keys) if is_acknowledged(key)]


def _echo(report: ApplyReport) -> None:
    suffix = " (server dry run)" if report.dry_run else ""
    for item in report.items:
        echo_problems(item)
        if item.result != "refused":
            click.echo(f"{display_name(item.key.resource_key())} {item.result}{suffix}")


def echo_problems(item: Applied) -> None:
    """What there is to say of a document, and that it is refused if it is."""
    for found in item.diagnostics:
        click.echo(found.text, err=True)
    if item.error:
        click.echo(f"Error: {item.error}", err=True)
    if item.result == "refused":
        click.echo(f"{_claimed_name(item)} refused, nothing of it was changed", err=True)


def _claimed_name(item: Applied) -> str:
    key = item.key.resource_key()
    if not key.kind:
        return "a document"
    return display_name(msgspec.structs.replace(item.key, name=key.name or "?").resource_key())
