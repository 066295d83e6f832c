"""``clew logs``: what a workload or its proxy wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from clew.cli.connection import mesh_option
from clew.local.logs import Log, Reader, logs_of, replica_specs, select
from clew.local.state import SERVER_LOG, is_locked

_POLL_SECONDS = 0.2


@click.command("logs")
@click.argument("workload", required=False)
@click.option("-n", "--namespace", default="", metavar="NS", help="Only of this namespace.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--proxy", is_flag=True, help="Of its agent and Envoy instead of the program.")
@click.option("--control-plane", is_flag=True, help="Of the control plane; names no workload.")
@click.option("--tail", type=click.IntRange(0), metavar="N", help="Begin with the last N lines.")
@mesh_option
def command(
    workload: str | None,
    namespace: str,
    follow: bool,
    proxy: bool,
    control_plane: bool,
    tail: int | None,
    mesh: str,
) -> None:
    """Print what a workload wrote: WORKLOAD is a replica, a Deployment, or the label app.

    With several replicas, each line begins with the name of its own.
    """
    import os
    import time

    from clew.api.location import BadLocation, mesh_directory, no_mesh

    if bool(workload) == control_plane:
        raise click.UsageError("name a workload, as in: clew logs reviews-v1 (see: clew ps)")
    try:
        directory = mesh_directory(mesh, os.environ)
    except BadLocation as error:
        raise click.UsageError(str(error)) from None

    def logs() -> tuple[Log, ...]:
        if not workload:
            return (Log(replica="control plane", path=directory / SERVER_LOG),)
        return _find(directory, namespace, workload, proxy=proxy)

    first = logs()
    if not first and not is_locked(directory):
        raise click.ClickException(str(no_mesh(mesh, os.environ)))
    if not first:
        raise click.ClickException(_not_found(directory, namespace, workload or ""))
    named = len({log.replica for log in first}) > 1
    readers = {log: Reader(log.path, last=tail) for log in first}
    _echo(readers, named=named)
    while follow and is_locked(directory):
        time.sleep(_POLL_SECONDS)
        for log in logs():
            if log not in readers:
                readers[log] = Reader(log.path, last=None)
                named = True
        _echo(readers, named=named)
    for log, reader in readers.items():
        _echo_lines(log, reader.rest(), named=named)


def _find(directory: Path, namespace: str, workload: str, *, proxy: bool) -> tuple[Log, ...]:
    found = select(replica_specs(directory, namespace), workload.rpartition("/")[2])
    return tuple(log for spec in found for log in logs_of(spec, proxy=proxy))


def _echo(readers: dict[Log, Reader], *, named: bool) -> None:
    for log, reader in readers.items():
        _echo_lines(log, reader.lines(), named=named)


def _echo_lines(log: Log, lines: Iterator[bytes], *, named: bool) -> None:
    for line in lines:
        text = line.decode(errors="replace")
        click.echo(f"[{log.replica}] {text}" if named else text)


def _not_found(directory: Path, namespace: str, workload: str) -> str:
    """What there is instead."""
    known = sorted({f"{s.namespace}/{s.workload}" for s in replica_specs(directory, namespace)})
    if not known:
        return "nothing runs in this mesh, so there are no logs.\n  hint: see: clew ps"
    return f'no workload "{workload}".\n  hint: there are: {", ".join(known)}'
