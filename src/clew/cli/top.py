"""``clew top``: the busiest workloads, live."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from clew.api.traffic import Traffic, TrafficGraph, TrafficNode
from clew.cli.connection import Interrupted, connected, mesh_option
from clew.cli.graph import where_option
from clew.cli.output import echo_value, output_option, table
from clew.cli.traffic_text import latencies, percent, rate, short, summary

_HEADER = ("WORKLOAD", "SERVICE", "VERSION", "RATE", "ERRORS", "P50", "P90", "P99", "MTLS")
# The first columns: they give way where there is little room, and numbers do not.
_NAMES = 2
_EVERY_SECONDS = 2.0

ORDERS: dict[str, Callable[[Traffic], float]] = {
    "rate": lambda traffic: traffic.requests + traffic.connections_opened,
    "errors": lambda traffic: traffic.error_share,
    "p99": lambda traffic: traffic.latency.p99 if traffic.latency is not None else 0.0,
}


@click.command("top")
@click.option(
    "--sort", "order", type=click.Choice(list(ORDERS)), default="rate", help="What comes first."
)
@click.option(
    "--window",
    default=10,
    show_default=True,
    type=click.IntRange(5, 21600),
    metavar="SECONDS",
    help="Of the last so many seconds.",
)
@click.option("--once", is_flag=True, help="Print it once, as without a terminal.")
@where_option
@output_option("json")
@mesh_option
def command(
    order: str, window: int, once: bool, namespace: str, output: str | None, mesh: str
) -> None:
    """The busiest workloads by what they are asked, live until Ctrl-C.

    What leaves the mesh is there by its service's name.
    """

    def ask() -> TrafficGraph:
        with connected(mesh) as client:
            return client.traffic(window=window, namespace=namespace)

    if output is not None:
        echo_value(busiest(ask(), order), output)
    elif once or not sys.stdout.isatty():
        graph = ask()
        click.echo(f"{summary(graph)}\n\n{table([_HEADER, *rows(graph, order)])}")
    else:
        _follow(ask, order)


def _follow(ask: Callable[[], TrafficGraph], order: str) -> None:
    console = Console()
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                with suppress(Interrupted):
                    live.update(live_table(ask(), order, console.height), refresh=True)
                time.sleep(_EVERY_SECONDS)
    except KeyboardInterrupt:
        return


def busiest(graph: TrafficGraph, order: str) -> list[TrafficNode]:
    """The nodes that serve: workloads, and services that no workload of the mesh served."""
    served = {edge.service for edge in graph.edges if edge.destination}
    nodes = [
        node
        for node in graph.nodes
        if (node.inbound.requests or node.inbound.connections_opened)
        and (node.kind != "service" or node.id not in served)
    ]
    return sorted(nodes, key=lambda node: (-ORDERS[order](node.inbound), node.id))


def rows(graph: TrafficGraph, order: str) -> list[tuple[str, ...]]:
    return [
        (
            short(node.id),
            node.service or "-",
            node.version or "-",
            rate(node.inbound, graph.window),
            percent(node.inbound.error_share),
            *latencies(node.inbound),
            percent(node.inbound.mutual_tls),
        )
        for node in busiest(graph, order)
    ]


def live_table(graph: TrafficGraph, order: str, height: int) -> Table:
    """As many rows as there is room for; what fails is red."""
    found = Table(title=summary(graph), title_justify="left", box=None, pad_edge=False)
    for number, name in enumerate(_HEADER):
        of_text, right = number < _NAMES, number > 2
        found.add_column(name, justify="right" if right else "left", no_wrap=not of_text)
    for cells, node in zip(rows(graph, order), busiest(graph, order), strict=True):
        if found.row_count >= max(1, height - 4):
            break
        names = (Text(cell, no_wrap=True, overflow="ellipsis") for cell in cells[:_NAMES])
        style = "red" if node.inbound.server_errors else ""
        found.add_row(*names, *cells[_NAMES:], style=style)
    return found
