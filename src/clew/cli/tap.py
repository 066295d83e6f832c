"""``clew tap``: requests of the mesh as they happen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

import click

from clew.api.runtime_settings import LONGEST_SECONDS
from clew.api.tap import TapEvent
from clew.cli.connection import Interrupted, connected, mesh_option
from clew.cli.output import output_option
from clew.model.duration import Duration

# A control plane that is stopped ends what it tells: it is asked again once it is back.
_AGAIN_SECONDS = 0.2


@click.command("tap")
@click.option("--from", "caller", default="", metavar="WORKLOAD", help="Who calls.")
@click.option("--to", "called", default="", metavar="WORKLOAD", help="Who is called.")
@click.option("--path", default="", metavar="PREFIX", help="How the path begins.")
@click.option("--status", default="", metavar="CODE", help="503, 5xx, or error.")
@click.option("--min-duration", default="", metavar="TIME", help="Took at least: 200ms.")
@click.option("--for", "length", default="10m", show_default=True, help="Stop after so long.")
@output_option("json")
@mesh_option
def command(
    caller: str,
    called: str,
    path: str,
    status: str,
    min_duration: str,
    length: str,
    output: str | None,
    mesh: str,
) -> None:
    """Show requests as they happen, until Ctrl-C: who calls whom, what for, and what becomes of it.

    WORKLOAD is its name (reviews-v1, default/reviews-v1 or reviews-v1.default) or its label app; of
    who is called also a host. Proxies tell of requests only while somebody watches, an hour at
    most. Of a failed request it is said why, and which object is to blame if one is. With -o json,
    each line is an object.
    """
    import time

    wanted = {
        "from": caller,
        "to": called,
        "path": path,
        "status": status,
        "minDuration": min_duration,
    }
    until = time.monotonic() + seconds_of("--for", length)
    with suppress(KeyboardInterrupt):
        while (left := round(until - time.monotonic())) > 0:
            try:
                with connected(mesh) as client:
                    _show(client.tap(**wanted, seconds=str(left)), output)
            except Interrupted:
                click.echo("The control plane went away and is started again.", err=True)
            time.sleep(_AGAIN_SECONDS)


def _show(events: Iterable[TapEvent], output: str | None) -> None:
    import msgspec

    for event in events:
        if output is not None:
            click.echo(msgspec.json.encode(event).decode())
        else:
            click.echo("\n".join(lines_of(event)))


def seconds_of(option: str, text: str) -> int:
    """Raises: UsageError."""
    try:
        length = Duration.parse(text).seconds
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from None
    if not 1 <= length <= LONGEST_SECONDS:
        raise click.UsageError(f"{option} is between 1s and 1h, not {text}")
    return int(length)


def lines_of(event: TapEvent) -> Iterator[str]:
    """A line for the request, and one for each thing to say of its failure."""
    if event.missed:
        yield f"… {event.missed} requests are not shown: there are too many"
    source = event.source or "(outside)"
    flags = f" {','.join(event.flags)}" if event.flags else ""
    yield (
        f"{event.at[11:-1]}  {source} → {event.destination or event.authority}  "
        f"{event.method} {_shown(event)}  {event.status or '-'}{flags}  {event.duration:.1f} ms"
    )
    yield from (f"    {explanation}" for explanation in event.explanations)


def _shown(event: TapEvent) -> str:
    return event.path if event.destination == "" else f"{event.authority}{event.path}"
