"""``clew ps``: what runs in a mesh."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from clew.cli.columns import COLUMNS, field
from clew.cli.connection import connected, mesh_option
from clew.cli.output import age, echo_value, output_option, table
from clew.local.state import ReplicaState, RunState, read_state
from clew.local.workloads import RUN_BY

Manifest = Mapping[str, Any]

_CELLS = {column.header: column.cell for column in COLUMNS["", "Pod"]}
_SHOWN = ("namespace", "name", "ready", "status", "restarts", "age", "ip")
_WIDE = ("workload", "pid", "proxyRestarts")


@click.command("ps")
@click.option("-n", "--namespace", default="", metavar="NS", help="Only of this namespace.")
@output_option("json", "wide")
@mesh_option
def command(namespace: str, output: str | None, mesh: str) -> None:
    """List the replicas of a mesh and what keeps workloads from running.

    RESTARTS counts the program, PROXYRESTARTS (-o wide) its sidecar's agent.
    """
    import os

    from clew.api.location import mesh_directory

    with connected(mesh) as client:
        pods = client.list(kinds=["Pod"], namespace=namespace).items
    state = read_state(mesh_directory(mesh, os.environ))
    rows = replica_rows(pods, state, datetime.now(UTC))
    problems = state.problems if state else ()
    if output == "json":
        echo_value({**_mesh(state), "replicas": rows, "problems": problems}, "json")
        return
    if rows:
        click.echo(render(rows, (*_SHOWN, *(_WIDE if output == "wide" else ()))))
    else:
        click.echo("Nothing runs.", err=True)
    for problem in problems:
        click.echo(f"\n{problem}")


def replica_rows(
    pods: Iterable[Manifest], state: RunState | None, now: datetime
) -> list[dict[str, Any]]:
    """One row for each Pod, with what `clew up` knows of its processes."""
    replicas = {(r.namespace, r.name): r for r in (state.replicas if state else ())}
    rows = [
        _row(pod, replicas.get((pod["metadata"]["namespace"], pod["metadata"]["name"])), now)
        for pod in pods
    ]
    return sorted(rows, key=lambda row: (row["namespace"], row["name"]))


def _row(pod: Manifest, replica: ReplicaState | None, now: datetime) -> dict[str, Any]:
    metadata = pod["metadata"]
    runner = (metadata.get("annotations") or {}).get(RUN_BY, "")
    process = replica.process if replica else None
    return {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "workload": replica.workload if replica else "clew run" if runner else "",
        "ready": _CELLS["READY"](pod),
        "status": _CELLS["STATUS"](pod),
        "restarts": int(_CELLS["RESTARTS"](pod)),
        "proxyRestarts": replica.agent_restarts if replica else 0,
        "age": age(field(pod, "metadata", "creationTimestamp") or "", now),
        "ip": field(pod, "status", "podIP") or "",
        "pid": process.pid if process else int(runner.partition(":")[0] or 0) or None,
    }


def render(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    cells = [["-" if row[c] in (None, "") else str(row[c]) for c in columns] for row in rows]
    return table([[column.upper() for column in columns], *cells])


def _mesh(state: RunState | None) -> dict[str, Any]:
    if state is None:
        return {}
    return {
        "mesh": state.mesh,
        "capture": state.capture.value,
        "url": f"http://127.0.0.1:{state.http_port}",
        "pid": state.supervisor.pid,
    }
