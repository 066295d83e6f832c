"""``clew proxy-log``: what a workload's Envoy logs, for a while."""

from __future__ import annotations

import click

from clew.api.runtime_settings import ALL_LOGGERS, LogLevelRequest
from clew.cli.connection import connected, mesh_option
from clew.cli.output import echo_value, output_option
from clew.cli.tap import seconds_of

_LEVELS = ("trace", "debug", "info", "warning", "error", "critical", "off")


@click.command("proxy-log")
@click.argument("workload")
@click.option("-n", "--namespace", default="", metavar="NS", help="Only of this namespace.")
@click.option("--level", "levels", multiple=True, metavar="[LOGGER:]LEVEL", help="http:debug.")
@click.option("--reset", is_flag=True, help="Log as usual again, now.")
@click.option("--for", "length", default="10m", show_default=True, help="As usual after so long.")
@output_option("json", "yaml")
@mesh_option
def command(
    workload: str,
    namespace: str,
    levels: tuple[str, ...],
    reset: bool,
    length: str,
    output: str | None,
    mesh: str,
) -> None:
    """Let a workload's Envoys log more for a while: WORKLOAD is a replica, a workload or its label
    app.

    LOGGER is one of Envoy's (http, router, rbac, jwt, connection, upstream …), or every one if it
    is left out. Several are separated by commas. See what they log by: clew logs WORKLOAD --proxy.
    """
    import msgspec

    if bool(levels) == reset:
        raise click.UsageError("say --level http:debug, or --reset")
    plain = {
        "workload": workload,
        "namespace": namespace,
        "levels": dict(_pair(each) for text in levels for each in text.split(",")),
        "seconds": seconds_of("--for", length),
    }
    wanted = msgspec.convert(plain, LogLevelRequest)
    with connected(mesh) as client:
        told = client.set_log_levels(wanted)
    if output is not None:
        echo_value(told, output)
        return
    how = "as usual" if reset else f"{','.join(levels)} for {length}"
    for proxy in told.proxies:
        click.echo(f"{proxy} logs {how}")


def _pair(text: str) -> tuple[str, str]:
    logger, _, level = text.rpartition(":")
    if level not in _LEVELS:
        raise click.UsageError(f'"{level}" is no level; there are {", ".join(_LEVELS)}')
    return logger or ALL_LOGGERS, level
