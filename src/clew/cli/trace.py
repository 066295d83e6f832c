"""``clew trace``: what became of single requests, from one proxy to the next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import click

from clew.api.traces import Trace, TraceSpan, TraceSummary
from clew.cli.connection import connected, mesh_option
from clew.cli.durations import DURATION
from clew.cli.output import echo_value, output_option, table

_BAR = 40


@click.group("trace")
def command() -> None:
    """Requests through the mesh, hop by hop, of the last hours.

    Meshes that run on this machine trace every request, unless a Telemetry or MeshConfig says
    otherwise.
    """


@command.command("list")
@click.option("--service", default="", metavar="NAME", help="Takes part: productpage.default.")
@click.option("--operation", default="", metavar="NAME", help="The name of a span.")
@click.option("--status", default="", metavar="CODE", help="An HTTP status, or error.")
@click.option("--min-duration", default="", metavar="TIME", help="Took at least: 200ms.")
@click.option("--since", type=DURATION, metavar="TIME", help="Began no longer ago than: 10m.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@output_option("json", "yaml")
@mesh_option
def list_traces(
    service: str,
    operation: str,
    status: str,
    min_duration: str,
    since: timedelta | None,
    limit: int,
    output: str | None,
    mesh: str,
) -> None:
    """List traces, the newest first."""
    wanted = {
        "service": service,
        "operation": operation,
        "status": status,
        "minDuration": min_duration,
        "since": _moment(since, datetime.now(UTC)),
        "limit": str(limit),
    }
    with connected(mesh) as client:
        found = client.traces(**wanted)
    if output is not None:
        echo_value(found, output)
    elif not found.items:
        click.echo("There is no such trace.", err=True)
    else:
        click.echo(table([_HEADERS, *map(_row, found.items)]))


@command.command("show")
@click.argument("trace_id", metavar="ID")
@output_option("json", "yaml")
@mesh_option
def show(trace_id: str, output: str | None, mesh: str) -> None:
    """Show one trace: each span below the one that it is part of, and when it was.

    ID is what `clew trace list` prints, and the middle part of a request's header traceparent.
    """
    with connected(mesh) as client:
        found = client.trace(trace_id)
    if output is not None:
        echo_value(found, output)
    else:
        click.echo("\n".join(waterfall(found)))


_HEADERS = ("ID", "START", "TIME", "STATUS", "SPANS", "SERVICE", "OPERATION")


def _moment(ago: timedelta | None, now: datetime) -> str:
    return (now - max(ago, timedelta(0))).isoformat() if ago is not None else ""


def _row(each: TraceSummary) -> tuple[str, ...]:
    start = each.start.partition(".")[0] + "Z"
    spans = f"{each.spans} ({each.errors} failed)" if each.errors else str(each.spans)
    status = str(each.status or "-")
    return (each.id, start, _time(each.duration), status, spans, each.service, each.operation)


def waterfall(trace: Trace) -> Iterator[str]:
    """The lines of a trace: a row for each span, with a bar where it was."""
    summary = trace.summary
    yield f"trace {summary.id}"
    yield f"  {summary.start}, {_time(summary.duration)}, {summary.spans} spans"
    yield ""
    rows = [(_named(span), _status(span), _time(span.duration)) for span in trace.spans]
    lines = table([("SPAN", "STATUS", "TIME"), *rows]).split("\n")
    width = max(map(len, lines))
    yield lines[0]
    for line, span in zip(lines[1:], trace.spans, strict=True):
        yield f"{line.ljust(width)}   {_bar(span, summary.duration)}".rstrip()


def _named(span: TraceSpan) -> str:
    kind = "" if span.kind in ("internal", "unspecified") else f" ({span.kind})"
    return f"{'  ' * span.depth}{span.service}{kind} {span.operation}"


def _status(span: TraceSpan) -> str:
    """The HTTP status, and Envoy's flags where it had something to say."""
    flags = str(span.attributes.get("response_flags", "-"))
    words = (str(span.status or ("error" if span.error else "-")), flags if flags != "-" else "")
    return " ".join(filter(None, words))


def _bar(span: TraceSpan, whole: float) -> str:
    """Where in the trace the span is. Clocks of machines may differ, so it may be outside."""
    scale = _BAR / whole if whole > 0 else 0.0
    begin = min(max(0, int(span.offset * scale)), _BAR - 1)
    length = max(1, min(round(span.duration * scale), _BAR - begin))
    return " " * begin + "█" * length


def _time(milliseconds: float) -> str:
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.2f} s"
    return f"{milliseconds:.0f} ms" if milliseconds >= 100 else f"{milliseconds:.2f} ms"
