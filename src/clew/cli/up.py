"""``clew up``: a whole mesh on this machine."""

from __future__ import annotations

import click

from clew.cli.connection import mesh_option


@click.command()
@click.argument("files", nargs=-1)
@click.option("-f", "--filename", "more", multiple=True, metavar="FILE", help="Same as FILES.")
@click.option(
    "--image",
    "images",
    multiple=True,
    metavar="IMAGE=CMD",
    help="Run CMD for containers of IMAGE (a tag may be left out, * matches anything).",
)
@click.option(
    "--images",
    "image_files",
    multiple=True,
    metavar="FILE",
    help="A YAML file of such pairs, `IMAGE: CMD`.",
)
@mesh_option
@click.option(
    "--capture",
    type=click.Choice(["netns", "env"]),
    help="How traffic reaches the sidecars [default: netns if it works here, else env].",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port of 127.0.0.1 for the ingress gateway [default: 8080 or the next free one].",
)
@click.option("--strict", is_flag=True, help="Sidecars accept nothing but mutual TLS.")
@click.option("--keep", is_flag=True, help="Begin with the objects of the last run.")
@click.option("-R", "--recursive", is_flag=True, help="Directories with all below them.")
def command(
    files: tuple[str, ...],
    more: tuple[str, ...],
    images: tuple[str, ...],
    image_files: tuple[str, ...],
    mesh: str,
    capture: str | None,
    port: int | None,
    strict: bool,
    keep: bool,
    recursive: bool,
) -> None:
    """Run a mesh from Kubernetes and Istio manifests: FILES, directories, or - for the input.

    Deployments become processes of this machine, each beside its own Envoy. The mesh runs in the
    foreground; Ctrl-C takes it down and leaves nothing behind. Change it from another terminal
    with `clew apply`, `clew delete` and their like.

    A program is told by PORT where to listen: at its container's port, or with --capture env at
    one that is free, since its proxy takes the other.

    \b
    Example:
        clew up shop.yaml --image acme/shop='python shop.py'
    """
    import asyncio
    import os

    from clew.agent.spec import Capture
    from clew.cli.files import read_files
    from clew.cli.mesh_session import people_errors, read_images, say, summary
    from clew.local.options import UpOptions
    from clew.local.running_mesh import RunningMesh
    from clew.local.supervisor import run_mesh

    with people_errors():
        options = UpOptions(
            mesh=mesh,
            manifests=tuple(read_files((*files, *more), recursive=recursive)),
            images=read_images(images, image_files),
            capture=Capture(capture) if capture else None,
            port=port,
            strict=strict,
            keep=keep,
            environ=dict(os.environ),
            working_dir=os.getcwd(),
        )

        async def stay(running: RunningMesh) -> int:
            for line in summary(running):
                click.echo(line)
            await asyncio.Event().wait()
            raise AssertionError("an event that nobody sets")

        code = asyncio.run(run_mesh(options, stay, report=say))
    click.echo("The mesh is down.")
    raise SystemExit(code)
