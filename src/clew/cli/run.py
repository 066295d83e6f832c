"""``clew run``: one program of the user's in a running mesh."""

from __future__ import annotations

import click

from clew.cli.connection import mesh_option, namespace_option

_PROTOCOLS = "http http2 grpc https tls tcp mongo mysql redis".split()


def _port(context: click.Context, option: click.Parameter, text: str) -> tuple[str, int]:
    """``9080`` → ``("http", 9080)``, ``tcp:5432`` → ``("tcp", 5432)``"""
    if not text:
        return "http", 0
    protocol, _, number = text.rpartition(":")
    if not number.isdigit() or not 0 < int(number) < 65536:
        raise click.BadParameter(f"{text!r} is not [PROTOCOL:]NUMBER, as in 9080 or tcp:5432")
    if protocol and protocol not in _PROTOCOLS:
        raise click.BadParameter(f"{protocol!r} is not one of {', '.join(_PROTOCOLS)}")
    return protocol or "http", int(number)


def _pairs(
    context: click.Context, option: click.Parameter, texts: tuple[str, ...]
) -> dict[str, str]:
    for text in texts:
        if not text.partition("=")[0] or "=" not in text:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE")
    return {text.partition("=")[0]: text.partition("=")[2] for text in texts}


def _label(context: click.Context, option: click.Parameter, text: str) -> str:
    from clew.config.validate.hosts import is_dns_label

    if text and not is_dns_label(text):
        raise click.BadParameter(f"{text!r} is not a name: use a-z, 0-9 and '-'")
    return text


@click.command("run", context_settings={"allow_interspersed_args": False})
@click.option("--name", default="", callback=_label, help="Name of the app and its Service.")
@click.option(
    "--group",
    default="",
    metavar="NAME",
    help="Join this WorkloadGroup instead: its labels, ports.",
)
@click.option("--version", default="", callback=_label, help="Its label version, as in v1.")
@click.option(
    "--port",
    default="",
    callback=_port,
    metavar="[PROTOCOL:]PORT",
    help="Where it listens, as in 9080 (HTTP) or tcp:5432.",
)
@namespace_option
@click.option("--service-account", default="default", callback=_label, help="Its identity.")
@click.option("--label", "labels", multiple=True, callback=_pairs, metavar="K=V", help="A label.")
@click.option("--env", multiple=True, callback=_pairs, metavar="K=V", help="A variable.")
@click.option(
    "--upstream",
    "upstreams",
    multiple=True,
    metavar="HOST:PORT",
    help="A TCP service that it calls; needed with --capture env only.",
)
@click.option("--quiet", is_flag=True, help="Print nothing but what the program prints.")
@mesh_option
@click.argument("program", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD…")
def command(
    name: str,
    group: str,
    version: str,
    port: tuple[str, int],
    namespace: str,
    service_account: str,
    labels: dict[str, str],
    env: dict[str, str],
    upstreams: tuple[str, ...],
    quiet: bool,
    mesh: str,
    program: tuple[str, ...],
) -> None:
    """Run a program, with its sidecar, in a mesh that runs already.

    The program keeps this terminal. It is in the mesh while it runs: with --port, as part of the
    Service NAME, which is made if there is none. Exits with the program's exit code.

    With --group it registers itself as a member of that WorkloadGroup, and gets requests while
    the group's probe finds it healthy.

    \b
    Examples:
        clew run --name reviews --version v4 --port 9080 -- python reviews.py
        clew run --group reviews-vm -- python reviews.py
    """
    import asyncio
    import os
    import shutil

    from clew.api.answers import ApiError, Unreachable
    from clew.api.location import mesh_directory, no_mesh
    from clew.cli.mesh_session import people_errors, say
    from clew.local.state import is_locked, read_state
    from clew.local.visit import Visit
    from clew.local.visiting import mesh_place, run_visit

    if bool(name) == bool(group):
        raise click.UsageError("give either --name, or the WorkloadGroup to join: --group")
    if shutil.which(program[0], path={**os.environ, **env}.get("PATH")) is None:
        raise click.ClickException(f"there is no program {program[0]!r}. Nothing was started.")
    with people_errors():
        directory = mesh_directory(mesh, os.environ)
        state = read_state(directory)
        if state is None or not is_locked(directory):
            raise click.ClickException(str(no_mesh(mesh, os.environ)))
        visit = Visit(
            command=program,
            name=name or group,
            group=group,
            version=version,
            namespace=namespace or "default",
            port=port[1],
            port_name=port[0],
            service_account=service_account,
            labels=labels,
            env=env,
            upstreams=upstreams,
            working_dir=os.getcwd(),
        )
        place = mesh_place(directory, state, os.environ)
        report = (lambda text: None) if quiet else say
        try:
            code = asyncio.run(run_visit(visit, place, state, report=report))
        except Unreachable:
            raise click.ClickException(str(no_mesh(mesh, os.environ))) from None
        except ApiError as error:
            raise click.ClickException(str(error)) from None
    raise SystemExit(code)
