"""``clew token``: who may use the admin API from other machines."""

from __future__ import annotations

from datetime import timedelta

import click

from clew.api.access import ApiTokenRequest, Role
from clew.cli.connection import connected, mesh_option
from clew.cli.durations import DURATION
from clew.cli.output import echo_value, output_option, table


@click.group("token")
def command() -> None:
    """Make, list and revoke tokens for the admin API of `clew server --api-address`."""


@command.command("create")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    required=True,
    help="viewer looks, editor changes objects, admin also makes tokens.",
)
@click.option(
    "--name",
    default="",
    help="In whose name changes are made [default: the role].",
)
@click.option(
    "--expires",
    type=DURATION,
    default="720h",
    show_default=True,
    metavar="DURATION",
    help="How long the token is good.",
)
@output_option("json", "yaml")
@mesh_option
def create(role: str, name: str, expires: timedelta, output: str | None, mesh: str) -> None:
    """Print a new token. It is shown this once, and only its hash is kept.

    \b
    Example:
        clew token create --role editor --name ci > ci.token
        clew get virtualservices --server https://10.0.0.5:15443 --token-file ci.token
    """
    seconds = int(expires.total_seconds())
    wanted = ApiTokenRequest(role=Role(role), name=name or role, seconds=seconds)
    with connected(mesh) as client:
        created = client.create_api_token(wanted)
    if output is not None:
        echo_value(created, output)
        return
    click.echo(created.token)
    click.echo(f"{created.view.name} is {role} until {created.view.expires}.", err=True)


@command.command("list")
@output_option("json", "yaml")
@mesh_option
def list_tokens(output: str | None, mesh: str) -> None:
    """List the tokens that are good, without their texts."""
    with connected(mesh) as client:
        tokens = client.api_tokens().tokens
    if output is not None:
        echo_value(tokens, output)
        return
    rows = [(each.id, each.name, str(each.role), each.expires) for each in tokens]
    click.echo(table([("ID", "NAME", "ROLE", "EXPIRES"), *rows]))


@command.command("revoke")
@click.argument("ids", nargs=-1, required=True)
@mesh_option
def revoke(ids: tuple[str, ...], mesh: str) -> None:
    """End tokens at once, by the IDs that `clew token list` shows."""
    with connected(mesh) as client:
        for each in ids:
            client.revoke_api_token(each)
            click.echo(f"{each} revoked")
