"""``clew down``: end a mesh from another terminal."""

from __future__ import annotations

import click

from clew.cli.connection import mesh_option


@click.command("down")
@click.option("--now", is_flag=True, help="End programs at once, without their grace periods.")
@mesh_option
def command(now: bool, mesh: str) -> None:
    """Stop a mesh as Ctrl-C in its `clew up` does, and wait until all of it has ended.

    If the mesh was killed, what it left behind is removed.
    """
    import os

    from clew.api.location import BadLocation, mesh_directory, mesh_name, running_meshes
    from clew.local.shutdown import Outcome, StillRuns, stop_mesh

    try:
        directory = mesh_directory(mesh, os.environ)
        outcome = stop_mesh(directory, now=now, seconds=20 if now else 90)
    except BadLocation as error:
        raise click.UsageError(str(error)) from None
    except StillRuns as error:
        raise click.ClickException(f"{error}.\n  hint: clew down --now") from None
    except PermissionError as error:
        raise click.ClickException(f"the mesh belongs to another user: {error}") from None
    name = mesh_name(mesh, os.environ)
    if outcome is Outcome.STOPPED:
        click.echo(f"The mesh {name} is down.")
    elif outcome is Outcome.CLEANED:
        click.echo(f"The mesh {name} had been killed; what it left behind is removed.")
    else:
        others = ", ".join(running_meshes(os.environ))
        more = f" Running here: {others} (choose one with --mesh)." if others else ""
        click.echo(f"The mesh {name} is not running.{more}")
