"""``clew proxy-config``: what a workload's Envoy has, from the Envoy itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from clew.cli.connection import mesh_option
from clew.cli.envoy import clusters, dump, endpoints, listeners, routes, secrets
from clew.cli.envoy_admin import Admin, AdminFailed, admin_of
from clew.cli.output import Decorator, echo_value, table

_DIRECTIONS = click.Choice(["inbound", "outbound"])

_fqdn = click.option("--fqdn", default="", metavar="HOST", help="Only of this host name.")
_port = click.option("--port", default=0, type=int, metavar="PORT", help="Only of this port.")
_direction = click.option(
    "--direction",
    type=_DIRECTIONS,
    callback=lambda _context, _parameter, value: value or "",
    help="Only of this one.",
)
_name = click.option("--name", default="", metavar="NAME", help="Only the one of this name.")


# Source: istioctl's other names for the same.
_ALIASES = {
    **{"cluster": "clusters", "c": "clusters", "listener": "listeners", "l": "listeners"},
    **{"route": "routes", "r": "routes", "endpoint": "endpoints", "ep": "endpoints"},
    **{"secret": "secrets", "s": "secrets", "b": "bootstrap", "a": "all"},
}


class _AsIstioctl(click.Group):
    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return super().get_command(ctx, _ALIASES.get(name, name))


@click.group("proxy-config", cls=_AsIstioctl)
def command() -> None:
    """What a workload's Envoy has: not what it was told, but what it uses.

    WORKLOAD is a replica, a Deployment (then its first replica) or the label app, also with the
    namespace: reviews-v1.default. The columns are istioctl's, and its names of the commands are
    taken too: cluster, listener, route, endpoint, secret.
    """


def _command(name: str, *options: Decorator, formats: tuple[str, ...]) -> Decorator:
    """A subcommand that asks the Envoy of a workload."""

    def decorate(function: Callable[..., None]) -> Callable[..., Any]:
        @wraps(function)
        def run(workload: str, namespace: str, mesh: str, file: Path | None, **rest: Any) -> None:
            try:
                function(admin_of(mesh, namespace, workload, file), **rest)
            except AdminFailed as error:
                raise click.ClickException(str(error)) from None

        decorated: Callable[..., Any] = run
        chosen: tuple[Decorator, ...] = (
            click.argument("workload", required=False, default=""),
            *options,
            click.option(
                "-o",
                "--output",
                default=formats[0],
                type=click.Choice(formats),
                help="The format.",
                show_default=True,
            ),
            click.option(
                "-f",
                "--file",
                type=click.Path(exists=True, dir_okay=False, path_type=Path),
                help="A dump to read instead (/config_dump?include_eds).",
            ),
            click.option("-n", "--namespace", default="", metavar="NS", help="Of the workload."),
            mesh_option,
        )
        for option in reversed(chosen):
            decorated = option(decorated)
        return command.command(name)(decorated)

    return decorate


_TABLES = ("short", "json", "yaml")


@_command("clusters", _fqdn, _port, _direction, _name, formats=_TABLES)
def show_clusters(
    admin: Admin, fqdn: str, port: int, direction: str, name: str, output: str
) -> None:
    """Clusters: where requests can go, and the DestinationRule that says how."""
    wanted = clusters.Wanted(fqdn=fqdn, port=port, direction=direction, name=name)
    found = list(clusters.all_of(dump.clusters(admin.config()), wanted))
    _echo(found, output, lambda: clusters.rows(found))


@_command("listeners", _port, _direction, _name, formats=_TABLES)
def show_listeners(admin: Admin, port: int, direction: str, name: str, output: str) -> None:
    """Listeners: what is taken where, and what it leads to."""
    wanted = listeners.Wanted(port=port, direction=direction, name=name)
    found = list(listeners.all_of(dump.listeners(admin.config()), wanted))
    _echo(found, output, lambda: listeners.rows(found))


@_command("routes", _name, _port, _fqdn, formats=_TABLES)
def show_routes(admin: Admin, name: str, port: int, fqdn: str, output: str) -> None:
    """Routes: which requests go by which VirtualService."""
    wanted = routes.Wanted(name=name, port=port, fqdn=fqdn)
    found = list(routes.all_of(dump.routes(admin.config()), wanted))
    _echo(found, output, lambda: routes.rows(found))


@_command(
    "endpoints",
    _fqdn,
    _port,
    _direction,
    _name,
    click.option("--status", default="", metavar="STATUS", help="Only HEALTHY, UNHEALTHY …"),
    formats=_TABLES,
)
def show_endpoints(
    admin: Admin, fqdn: str, port: int, direction: str, name: str, status: str, output: str
) -> None:
    """Endpoints: their health, and what outlier detection makes of them. NAME is a cluster's."""
    wanted = endpoints.Wanted(fqdn=fqdn, port=port, direction=direction, name=name, status=status)
    found = endpoints.all_of(admin.clusters(), wanted)
    _echo(found, output, lambda: endpoints.rows(found))


@_command("secrets", formats=_TABLES)
def show_secrets(admin: Admin, output: str) -> None:
    """Secrets: the certificates in use, and until when. Keys are shown to nobody."""
    found = dump.secrets(admin.config())
    shown = [{"state": state, **each} for state, each in found]
    _echo(shown, output, lambda: secrets.rows(found, datetime.now(UTC)))


@_command("bootstrap", formats=("json", "yaml", "short"))
def show_bootstrap(admin: Admin, output: str) -> None:
    """Bootstrap: what Envoy began with."""
    found = dump.redacted(dump.bootstrap(admin.config()))
    if output != "short":
        echo_value(found, output)
        return
    node = found.get("node", {})
    click.echo(f"Istio API:      {node.get('metadata', {}).get('ISTIO_VERSION', '-')}")
    click.echo(f"Envoy Version:  {admin.version()}")


@_command("all", formats=_TABLES)
def show_all(admin: Admin, output: str) -> None:
    """All of these, one after the other."""
    config = admin.config()
    if output != "short":
        echo_value(_everything(config), output)
        return
    pages = (
        clusters.rows(dump.clusters(config)),
        listeners.rows(dump.listeners(config)),
        routes.rows(dump.routes(config)),
        endpoints.rows(endpoints.all_of(admin.clusters(), endpoints.Wanted())),
        secrets.rows(dump.secrets(config), datetime.now(UTC)),
    )
    click.echo("\n\n".join(table(rows) for rows in pages))


def _everything(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "bootstrap": dump.redacted(dump.bootstrap(config)),
        "clusters": dump.clusters(config),
        "listeners": dump.listeners(config),
        "routes": dump.routes(config),
        "endpoints": dump.endpoints(config),
        "secrets": [{"state": state, **each} for state, each in dump.secrets(config)],
    }


def _echo(found: list[Any], output: str, rows: Callable[[], dump.Rows]) -> None:
    if output != "short":
        echo_value(found, output)
    elif found:
        click.echo(table(rows()))
    else:
        click.echo("Nothing in this Envoy fits.", err=True)
