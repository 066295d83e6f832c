"""``clew ca token``: one-time tokens with which other hosts join."""

from __future__ import annotations

from datetime import timedelta

import click

from clew.api.authority import JoinTokenView, TokenRequest
from clew.cli.connection import connected, mesh_option
from clew.cli.durations import DURATION
from clew.cli.output import echo_value, output_option, table


@click.group("token")
def token() -> None:
    """Make, list and revoke tokens with which other hosts get their first certificate."""


@token.command("create")
@click.option("-n", "--namespace", default="default", show_default=True, metavar="NS")
@click.option("--service-account", default="default", show_default=True, metavar="NAME")
@click.option("--host", required=True, metavar="NAME", help="The name of the agent's spec.")
@click.option("--address", default="", metavar="IP", help="Take it from this address only.")
@click.option(
    "--ttl",
    type=DURATION,
    default="1h",
    show_default=True,
    metavar="DURATION",
    help="How long it is good.",
)
@output_option("json", "yaml")
@mesh_option
def create(
    namespace: str,
    service_account: str,
    host: str,
    address: str,
    ttl: timedelta,
    output: str | None,
    mesh: str,
) -> None:
    """Print a new token for one host. It is shown this once, and only its hash is kept.

    It is good for one certificate, of this namespace and service account, for the proxy of this
    name. Give it to `clew agent --token` there; it also says which roots to trust.

    \b
    Example:
        clew ca token create -n prod --service-account billing --host vm-1 > vm-1.token
    """
    wanted = TokenRequest(
        namespace=namespace,
        service_account=service_account,
        host=host,
        address=address,
        seconds=int(ttl.total_seconds()),
    )
    with connected(mesh) as client:
        created = client.create_join_token(wanted)
    if output is not None:
        echo_value(created, output)
        return
    click.echo(created.token)
    click.echo(f"Join token {created.view.id} is {_good_for(created.view)}.", err=True)


@token.command("list")
@output_option("json", "yaml")
@mesh_option
def list_tokens(output: str | None, mesh: str) -> None:
    """List the tokens that have not expired, without their texts."""
    with connected(mesh) as client:
        tokens = client.join_tokens().tokens
    if output is not None:
        echo_value(tokens, output)
        return
    header = ("ID", "NAMESPACE", "SERVICE ACCOUNT", "HOST", "ADDRESS", "EXPIRES", "USED")
    rows = [
        (
            *(each.id, each.namespace, each.service_account, each.host),
            *(each.address or "any", each.expires, each.used or "no"),
        )
        for each in tokens
    ]
    click.echo(table([header, *rows]))


@token.command("revoke")
@click.argument("ids", nargs=-1, required=True)
@mesh_option
def revoke(ids: tuple[str, ...], mesh: str) -> None:
    """Make tokens good for nothing, by the IDs that `clew ca token list` shows."""
    with connected(mesh) as client:
        for each in ids:
            client.revoke_join_token(each)
            click.echo(f"{each} revoked")


def _good_for(view: JoinTokenView) -> str:
    identity = f"{view.namespace}/{view.service_account}"
    where = f" from {view.address}" if view.address else ""
    return f"good once, for {view.host} as {identity}{where}, until {view.expires}"
