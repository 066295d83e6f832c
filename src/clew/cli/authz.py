"""``clew authz``: who may do what, by the rules that proxies have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from clew.api.authorization import Matrix, Permission, WorkloadVerdict
from clew.cli.connection import connected, mesh_option, namespace_option
from clew.cli.output import echo_value, output_option, table

_CELLS = {"yes": "yes", "no": "-", "some": "some", "asked": "asked"}
_OUTSIDE = "(outside)"


@click.group("authz")
def command() -> None:
    """Who may do what: the policies in force, asked about requests that nobody makes."""


@command.command("can")
@click.argument("caller", metavar="FROM")
@click.argument("target", metavar="TO")
@click.argument("method", default="GET")
@click.argument("path", default="/")
@click.option("--port", type=click.IntRange(1, 65535), help="Of TO, if it has several.")
@click.option("-H", "--header", "headers", multiple=True, help="Of the request: 'name: value'.")
@click.option("--claim", "claims", multiple=True, help="Of a token that is good: name=value.")
@click.option("--ip", default="", help="The address that the request comes from.")
@namespace_option
@output_option("json", "yaml")
@mesh_option
def can(
    caller: str,
    target: str,
    method: str,
    path: str,
    port: int | None,
    headers: tuple[str, ...],
    claims: tuple[str, ...],
    ip: str,
    namespace: str,
    output: str | None,
    mesh: str,
) -> None:
    """Say whether FROM may send TO a request, and which rule decides.

    FROM is a service account, a service or a workload; - is somebody without a proxy.
    TO is a service: its name, namespace/name or host. Both are in the namespace of -n.

    What is asked are the very rules that TO's proxies have. FROM is taken to come with mTLS, as
    proxies do unless a DestinationRule says otherwise. Ports that carry TCP have no METHOD and no
    PATH. Of policies with istio.io/dry-run it is said what they would do.

    Exits with 0 if FROM may, with 1 if not, or not at every workload.
    """
    asked: dict[str, Any] = {
        "method": method,
        "path": path,
        "ip": ip,
        "header": headers,
        "claim": claims,
    }
    if port is not None:
        asked["port"] = str(port)
    with connected(mesh) as client:
        found = client.permission(caller, target, asked, namespace=namespace)
    if output is not None:
        echo_value(found, output)
    else:
        click.echo("\n".join(_lines(found, f"{method} {path}")))
    raise SystemExit(found.outcome not in ("allowed", "asked"))


@command.command("matrix")
@click.option("-n", "--namespace", default="", metavar="NS", help="Of the services [default: all].")
@output_option("json", "yaml")
@mesh_option
def show_matrix(namespace: str, output: str | None, mesh: str) -> None:
    """Show who may call whom: service accounts down, services across.

    \b
    yes    every request
    -      none
    some   it depends on the request: see `clew authz can`
    asked  an external authorizer decides

    It is found out by trying, with the methods and paths that the policies speak of.
    """
    with connected(mesh) as client:
        found = client.authorization_matrix(namespace=namespace)
    if output is not None:
        echo_value(found, output)
    elif not found.targets:
        click.echo("There is no service with a workload.", err=True)
    else:
        click.echo("\n".join(_grid(found)))


def _lines(found: Permission, asked: str) -> Iterator[str]:
    http = found.protocol in ("HTTP", "HTTP2", "GRPC", "GRPC-Web", "UnsupportedProtocol")
    what = f" {asked}" if http else " (TCP)"
    caller = found.caller or _OUTSIDE
    yield f"{found.outcome}: {caller} → {found.host}:{found.port}{what}"
    if not found.workloads:
        yield "  the service has no workload"
    for verdict in found.workloads:
        yield f"  {verdict.workload}: {verdict.outcome}{_why(verdict)}"
        yield from (f"    dry run: {each}" for each in verdict.dry_runs)


def _why(verdict: WorkloadVerdict) -> str:
    by = f" by {verdict.rule}" if verdict.rule else ""
    return by + (f": {verdict.reason}" if verdict.reason else "")


def _grid(found: Matrix) -> Iterator[str]:
    """Names are long, so columns are numbered and named below."""
    numbers = [str(number) for number in range(1, len(found.targets) + 1)]
    rows = [[row.caller or _OUTSIDE, *(_CELLS[cell] for cell in row.cells)] for row in found.rows]
    yield table([["FROM", *numbers], *rows])
    yield ""
    yield from (f"{n}  {target}" for n, target in zip(numbers, found.targets, strict=True))
