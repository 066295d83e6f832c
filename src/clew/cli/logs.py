"""``clew logs``: what a workload or its proxy wrote."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import click

from clew.agent.node import node_id
from clew.agent.spec import AgentSpec
from clew.api.answers import ApiError, Unreachable
from clew.api.explanations import Explanation, ExplanationList
from clew.cli.connection import connected, mesh_option
from clew.local.access_lines import access_lines, read_access_line
from clew.local.logs import Log, Reader, access_log_of, logs_of, replica_specs, select
from clew.local.state import SERVER_LOG, is_locked

_POLL_SECONDS = 0.2
_NO_ACCESS_LOG = (
    "There is no line of an access log yet.\n"
    "  hint: it is written where MeshConfig has accessLogFile: /dev/stdout, or a Telemetry asks "
    "for it; clew tap shows requests without one"
)


@click.command("logs")
@click.argument("workload", required=False)
@click.option("-n", "--namespace", default="", metavar="NS", help="Only of this namespace.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--proxy", is_flag=True, help="Of its agent and Envoy instead of the program.")
@click.option("--access", is_flag=True, help="Of its Envoy's access log alone.")
@click.option("--explain", is_flag=True, help="With --access: say why requests failed.")
@click.option("--control-plane", is_flag=True, help="Of the control plane; names no workload.")
@click.option("--tail", type=click.IntRange(0), metavar="N", help="Begin with the last N lines.")
@mesh_option
def command(
    workload: str | None,
    namespace: str,
    follow: bool,
    proxy: bool,
    access: bool,
    explain: bool,
    control_plane: bool,
    tail: int | None,
    mesh: str,
) -> None:
    """Print what a workload wrote: WORKLOAD is a replica, a Deployment, or the label app.

    With several replicas, each line begins with the name of its own. There is an access log where
    MeshConfig has accessLogFile: /dev/stdout, or a Telemetry asks for one. `--explain` looks up
    what Envoy's flags mean and which object is to blame, as the mesh is now.
    """
    import os

    from clew.api.location import BadLocation, mesh_directory, no_mesh

    if bool(workload) == control_plane:
        raise click.UsageError("name a workload, as in: clew logs reviews-v1 (see: clew ps)")
    if explain and not access:
        raise click.UsageError("--explain is about access logs: add --access")
    try:
        directory = mesh_directory(mesh, os.environ)
    except BadLocation as error:
        raise click.UsageError(str(error)) from None
    of_replica = access_log_of if access else partial(logs_of, proxy=proxy)
    wanted = _Wanted(directory, namespace, workload or "", of_replica)
    first = wanted.logs()
    if not first and not is_locked(directory):
        raise click.ClickException(str(no_mesh(mesh, os.environ)))
    if not first:
        raise click.ClickException(_not_found(directory, namespace, workload or ""))
    with (
        suppress(*([KeyboardInterrupt] if follow else [])),
        _explaining(mesh) if explain else nullcontext() as explained,
    ):
        page = partial(_Page, access=access, explained=explained)
        pages = {log: page(Reader(log.path, last=tail), spec) for log, spec in first.items()}
        if not _echo(pages, _Page.lines) and access:
            click.echo(_NO_ACCESS_LOG, err=True)
        while follow and is_locked(directory):
            time.sleep(_POLL_SECONDS)
            for log, spec in wanted.logs().items():
                if log not in pages:
                    pages[log] = page(Reader(log.path, last=None), spec)
            _echo(pages, _Page.lines)
        _echo(pages, _Page.rest)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Whose logs, and which. ``workload``: "" is the control plane."""

    directory: Path
    namespace: str
    workload: str
    of_replica: Callable[[AgentSpec], Iterable[Log]]

    def logs(self) -> dict[Log, AgentSpec | None]:
        """Those that there are now; replicas come and go."""
        if not self.workload:
            return {Log(replica="control plane", path=self.directory / SERVER_LOG): None}
        specs = replica_specs(self.directory, self.namespace)
        found = select(specs, self.workload.rpartition("/")[2])
        return {log: spec for spec in found for log in self.of_replica(spec)}


@dataclass(frozen=True, slots=True)
class _Page:
    """One log, as much of it as is wanted. ``spec``: whose it is; None: the control plane's."""

    reader: Reader
    spec: AgentSpec | None
    access: bool
    explained: Callable[[AgentSpec, str], Iterable[Explanation]] | None

    def lines(self) -> Iterator[str]:
        return self._chosen(self.reader.lines())

    def rest(self) -> Iterator[str]:
        return self._chosen(self.reader.rest())

    def _chosen(self, lines: Iterator[bytes]) -> Iterator[str]:
        for line in access_lines(lines) if self.access else lines:
            text = line.decode(errors="replace")
            yield text
            if self.explained is not None and self.spec is not None:
                yield from (f"    {each}" for each in self.explained(self.spec, text))


@contextmanager
def _explaining(mesh: str) -> Iterator[Callable[[AgentSpec, str], Iterable[Explanation]]]:
    """What says why the request of a line failed."""
    with connected(mesh) as client:
        yield partial(_explained, cache(client.explanation))


def _explained(
    ask: Callable[..., ExplanationList], spec: AgentSpec, line: str
) -> Iterable[Explanation]:
    """Why the request of a line failed; nothing if it did not, or nobody can say."""
    seen = read_access_line(line)
    if seen is None or (seen.response_flags == "-" and seen.response_code < "400"):
        return ()
    try:
        return ask(
            node_id(spec),
            flags=seen.response_flags,
            details=seen.response_code_details,
            route=seen.route_name,
            cluster=seen.upstream_cluster,
            authority=seen.authority,
        ).items
    except (ApiError, Unreachable) as error:
        return (Explanation(flag=seen.response_flags, says=f"cannot be explained: {error}"),)


def _echo(pages: Mapping[Log, _Page], read: Callable[[_Page], Iterator[str]]) -> bool:
    """Print what ``read`` finds in each; whether there was anything."""
    named = len({log.replica for log in pages}) > 1
    printed = False
    for log, page in pages.items():
        for text in read(page):
            click.echo(f"[{log.replica}] {text}" if named else text)
            printed = True
    return printed


def _not_found(directory: Path, namespace: str, workload: str) -> str:
    """What there is instead."""
    known = sorted({f"{s.namespace}/{s.workload}" for s in replica_specs(directory, namespace)})
    if not known:
        return "nothing runs in this mesh, so there are no logs.\n  hint: see: clew ps"
    return f'no workload "{workload}".\n  hint: there are: {", ".join(known)}'
