"""``clew history``: who changed an object, when, and what."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from clew.api.differences import summary
from clew.api.messages import HistoryItem
from clew.cli.connection import connected, mesh_option, namespace_option
from clew.cli.output import age, echo_value, output_option, table
from clew.cli.references import key_in, one_reference


@click.command("history")
@click.argument("arguments", nargs=-1, metavar="KIND NAME")
@click.option("--revision", type=int, help="Print the object as it was at this revision.")
@namespace_option
@output_option("json", "yaml")
@mesh_option
def command(
    arguments: tuple[str, ...],
    revision: int | None,
    namespace: str,
    output: str | None,
    mesh: str,
) -> None:
    """Who changed an object, when, and what; the newest first, deleted objects too.

    \b
    Example:
        clew history vs reviews
        clew history vs reviews --revision 12 -o yaml
    """
    kind, name = one_reference(arguments)
    key = key_in(kind, namespace, name)
    with connected(mesh) as client:
        history = client.history(key)
    if revision is not None:
        echo_value(_at(history.items, revision, str(key)), output or "yaml")
    elif output is not None:
        echo_value(history, output)
    elif not history.items:
        click.echo(f"There is no history of {key}: its store keeps none.", err=True)
    else:
        click.echo(render(history.items, datetime.now(UTC)))


def render(items: Sequence[HistoryItem], now: datetime) -> str:
    rows = [["REVISION", "WHEN", "AGE", "WHO", "ACTION", "CHANGES"]]
    older = [*(item.object for item in items[1:]), None]
    for item, before in zip(items, older, strict=True):
        changes = summary(before, item.object)
        row = [str(item.revision), item.at, age(item.at, now), item.author, item.action, changes]
        rows.append(row)
    return table(rows)


def _at(items: Sequence[HistoryItem], revision: int, name: str) -> object:
    for item in items:
        if item.revision == revision and item.object is not None:
            return item.object
        if item.revision == revision:
            raise click.ClickException(f"{name} was deleted in revision {revision}")
    known = ", ".join(str(item.revision) for item in items[:10])
    raise click.ClickException(f"{name} has no revision {revision}; its newest are: {known}")
