"""``clew agent``: one Envoy beside one workload."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("agent")
@click.option(
    "--spec",
    "spec_file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What to run, as the local runtime writes it (JSON).",
)
@click.option(
    "--foreground-app",
    is_flag=True,
    help="The program uses this terminal instead of app.log.",
)
@click.option(
    "--log-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append the agent's own log to this file instead of its error output.",
)
@click.option(
    "--token",
    envvar="CLEW_JOIN_TOKEN",
    default="",
    show_default=False,
    help="A join token, for a host that has no certificate yet (CLEW_JOIN_TOKEN, which other "
    "users of the host do not see). See clew ca token create.",
)
def command(spec_file: Path, foreground_app: bool, log_file: Path | None, token: str) -> None:
    """Run one Envoy beside one workload, until the program ends or a signal comes.

    Runs in the foreground, inside the network namespace it is started in. The first SIGTERM or
    Ctrl-C lets the program finish and connections drain; the second one ends all at once.

    Exits with the program's exit code when it is not to be restarted (128 + signal if it was
    killed), else 0; 1 when the workload cannot run; 2 when the spec is wrong.
    """
    import asyncio
    import logging
    import os

    import msgspec

    from clew.agent.run import FAILURES, run_workload
    from clew.agent.spec import decode, prepare

    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, filename=log_file
    )
    try:
        spec = prepare(decode(spec_file.read_bytes()), os.getcwd())
    except msgspec.MsgspecError as error:
        raise click.UsageError(f"{spec_file}: {error}") from None
    os.makedirs(spec.directory, mode=0o700, exist_ok=True)
    # Paths below it stay short: that of a Unix socket has 107 characters at most.
    os.chdir(spec.directory)
    spec = msgspec.structs.replace(spec, directory=".")
    try:
        code = asyncio.run(run_workload(spec, foreground=foreground_app, token=token))
    except FAILURES as error:
        click.echo(f"clew agent: {error}", err=True)
        code = 1
    raise SystemExit(code)
