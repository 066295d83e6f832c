"""``clew graph``: who calls whom, how much, how fast and how well."""

from __future__ import annotations

import click

from clew.cli.connection import connected, mesh_option
from clew.cli.output import echo_value, output_option, table
from clew.cli.traffic_text import crowded, dot, edge_rows, mermaid, summary

window_option = click.option(
    "--window",
    default=60,
    show_default=True,
    type=click.IntRange(5, 21600),
    metavar="SECONDS",
    help="Of the last so many seconds, at most 6 hours.",
)
where_option = click.option(
    "-n", "--namespace", default="", metavar="NS", help="Only what begins or ends there."
)


@click.command("graph")
@window_option
@where_option
@output_option("json", "dot", "mermaid")
@mesh_option
def command(window: int, namespace: str, output: str | None, mesh: str) -> None:
    """Who calls whom, how much, how fast and how well, as the sidecars count it.

    A line is a workload that called a service, and the workload that served it. ERRORS are
    responses 5xx and requests without one. Calls are counted where they arrive; those that leave
    the mesh or never arrive, where they begin (TO is then "-", and FLAGS say why).

    \b
    Examples:
        clew graph --window 300
        clew graph -o dot | dot -Tsvg > mesh.svg
    """
    with connected(mesh) as client:
        graph = client.traffic(window=window, namespace=namespace)
    match output:
        case "json":
            echo_value(graph, "json")
        case "dot":
            click.echo(dot(graph))
        case "mermaid":
            click.echo(mermaid(graph))
        case _ if graph.edges:
            click.echo(f"{summary(graph)}\n\n{table(edge_rows(graph))}")
        case _:
            where = f" in {namespace} namespace" if namespace else ""
            click.echo(f"No traffic in the last {window} s{where}.", err=True)
    if output != "json" and (warning := crowded(graph)):
        click.echo(warning, err=True)
