"""What `clew up` and `clew demo` share: the images, the errors and the words at the start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from clew.agent.spec import Capture
from clew.api.location import BadLocation
from clew.local.addresses import NoFreeAddress
from clew.local.capture_choice import Choice, NoCapture
from clew.local.control_plane import ControlPlaneFailed
from clew.local.images import BadImages, parse_image_option, parse_images
from clew.local.options import BadManifests
from clew.local.ports import PortTaken
from clew.local.process import CommandFailed
from clew.local.programs import CannotRun
from clew.local.running_mesh import RunningMesh
from clew.local.state import MeshRuns


@contextmanager
def people_errors() -> Iterator[None]:
    """What keeps a mesh from running ends the command with a message, not with a traceback."""
    try:
        yield
    except (BadImages, BadLocation) as error:
        raise click.UsageError(str(error)) from None
    except MeshRuns as error:
        raise click.ClickException(already_runs(str(error))) from None
    except (
        BadManifests,
        CannotRun,
        CommandFailed,
        ControlPlaneFailed,
        NoCapture,
        NoFreeAddress,
        PortTaken,
        PermissionError,
    ) as error:
        raise click.ClickException(str(error)) from None


def already_runs(mesh: str) -> str:
    option = "" if mesh == "default" else f" --mesh {mesh}"
    return (
        f'the mesh "{mesh}" is running already. Nothing was changed.\n'
        f"  hint: add to it with: clew apply{option} -f FILE; stop it with: clew down{option}; or "
        "run another one beside it with --mesh NAME"
    )


def read_images(options: tuple[str, ...], files: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Options count for more than files. Raises: BadImages."""
    images: dict[str, tuple[str, ...]] = {}
    for file in files:
        try:
            images |= parse_images(Path(file).read_text(encoding="utf-8"), file)
        except (OSError, UnicodeDecodeError) as error:
            raise BadImages(f"cannot read {file}: {error}") from None
    return images | dict(map(parse_image_option, options))


def say(text: str) -> None:
    click.echo(text, err=True)


def summary(mesh: RunningMesh) -> Iterator[str]:
    """The lines that tell what runs and where."""
    yield f"The mesh {mesh.name} is up."
    yield f"  ingress   {mesh.url}  (HTTPS {mesh.ports.https}, TCP {mesh.ports.tcp})"
    yield f"  capture   {describe_capture(mesh.choice)}"
    for problem in mesh.controller.problems:
        yield f"  problem   {problem}"
    option = "" if mesh.name == "default" else f" --mesh {mesh.name}"
    yield f"Ctrl-C stops it. In another terminal: clew apply{option} -f FILE, clew ps{option},"
    yield f"  and clew dashboard{option} to see it in a browser"


def describe_capture(choice: Choice) -> str:
    if choice.capture is Capture.NETNS:
        how = "without root, in a user namespace" if choice.user_namespace else "as root"
        return f"netns: all traffic of a workload goes through its sidecar ({how})"
    return f"env: only traffic that honours HTTP_PROXY goes through sidecars ({choice.why})"
