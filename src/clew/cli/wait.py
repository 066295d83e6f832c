"""``clew wait``: until objects are in force."""

from __future__ import annotations

import time
from collections.abc import Iterable

import click

from clew.api.client import Client
from clew.api.messages import ObjectStatus
from clew.cli.connection import connected, mesh_option, namespace_option
from clew.cli.durations import DURATION
from clew.cli.output import Decorator, echo_value, output_option
from clew.cli.references import display_name, key_in, split_references
from clew.model.base import ResourceKey

timeout_option: Decorator = click.option(
    "--timeout",
    type=DURATION,
    default="30s",
    show_default=True,
    metavar="DURATION",
    callback=lambda _context, _parameter, length: max(0, round(length.total_seconds())),
    help="How long to wait, as in 90s or 2m.",
)


@click.command("wait")
@click.argument("arguments", nargs=-1, metavar="KIND/NAME…")
@click.option(
    "--for",
    "condition",
    type=click.Choice(["delivery"]),
    default="delivery",
    help="delivery: every proxy that the object concerns has acknowledged its newest generation.",
)
@timeout_option
@namespace_option
@output_option("json", "yaml")
@mesh_option
def command(
    arguments: tuple[str, ...],
    condition: str,
    timeout: int,
    namespace: str,
    output: str | None,
    mesh: str,
) -> None:
    """Wait until every proxy that an object concerns has acknowledged its newest generation.

    Exits with 1, and says why, when a proxy refused it, clew does not support it, or time is
    over. An object that concerns no proxy has nothing to wait for.

    \b
    Example:
        clew wait vs/reviews dr/reviews --timeout 10s
    """
    keys = [key_in(kind, namespace, name) for kind, name in split_references(arguments)]
    with connected(mesh) as client:
        found = wait_for(client, keys, timeout)
    if output is not None:
        echo_value(found[0] if len(found) == 1 else found, output)
    else:
        echo_standings(found)
    raise SystemExit(not all(each.in_force for each in found))


def wait_for(client: Client, keys: Iterable[ResourceKey], seconds: int) -> list[ObjectStatus]:
    """The standing of each object, once it is settled; all of them within so many seconds."""
    until = time.monotonic() + seconds
    return [client.object_status(key, wait=max(0, round(until - time.monotonic()))) for key in keys]


def echo_standings(found: Iterable[ObjectStatus]) -> None:
    for each in found:
        late = f"; waits for {', '.join(each.waiting)}" if each.state == "pending" else ""
        name = display_name(each.key.resource_key())
        click.echo(f"{name} {each.summary}{late}", err=not each.in_force)
