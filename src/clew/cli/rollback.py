"""``clew rollback``: bring an earlier revision of an object back."""

from __future__ import annotations

import click

from clew.cli.connection import (
    author,
    connected,
    dry_run_option,
    mesh_option,
    namespace_option,
)
from clew.cli.output import echo_value, output_option
from clew.cli.references import display_name, key_in, one_reference


@click.command("rollback")
@click.argument("arguments", nargs=-1, metavar="KIND NAME")
@click.option("--to", "revision", type=int, help="The revision [default: the previous one].")
@namespace_option
@dry_run_option
@output_option("json", "yaml")
@mesh_option
def command(
    arguments: tuple[str, ...],
    revision: int | None,
    namespace: str,
    dry_run: str,
    output: str | None,
    mesh: str,
) -> None:
    """Bring an earlier revision of an object back, a deleted object included.

    The rollback is a change like any other: it gets a revision, and can be rolled back.

    \b
    Example:
        clew rollback vs reviews
        clew rollback vs reviews --to 12
    """
    kind, name = one_reference(arguments)
    dry = dry_run == "server"
    with connected(mesh) as client:
        applied = client.rollback(
            key_in(kind, namespace, name), revision=revision, author=author(), dry_run=dry
        )
    if output is not None:
        echo_value(applied, output)
    else:
        for found in applied.diagnostics:
            click.echo(found.text, err=True)
        suffix = " (server dry run)" if dry else ""
        done = {"refused": "refused", "unchanged": "unchanged: it is as in revision"}
        what = done.get(applied.result, "rolled back to revision")
        click.echo(f"{display_name(applied.key.resource_key())} {what} {applied.restored}{suffix}")
    raise SystemExit(applied.result == "refused")
