"""``clew server``: the control plane alone."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import signal
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import click

from clew.api.location import BadLocation, mesh_directory
from clew.ca.keys import KeyKind, UnusableKeys
from clew.ca.plugged_in import UnusableAuthority
from clew.cli.durations import DURATION
from clew.model.duration import Duration

# Istio's name for it: how long a proxy that registered itself may be away.
_GRACE = "PILOT_WORKLOAD_ENTRY_GRACE_PERIOD"

# Istio's name for it: ranges of addresses where issuers of tokens are not asked for their keys.
_BLOCKED = "BLOCKED_CIDRS_IN_JWKS_URIS"


@click.command()
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where sockets, keys and the store are kept. Default: the directory of --mesh.",
)
@click.option("--mesh", default="", help="Name of the mesh on this machine (CLEW_MESH).")
@click.option(
    "--config",
    "configuration",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Serve the manifests of this directory, read-only, instead of the store.",
)
@click.option(
    "--ca-dir",
    envvar="ROOT_CA_DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Sign with the authority of this directory: ca-cert.pem, ca-key.pem, root-cert.pem, "
    "cert-chain.pem (ROOT_CA_DIR).",
)
@click.option(
    "--ca-key",
    envvar="CLEW_CA_KEY",
    type=click.Choice([kind.value for kind in KeyKind]),
    default=KeyKind.EC_P256.value,
    show_default=True,
    help="The kind of keys of clew's own authority, when it makes new ones (CLEW_CA_KEY).",
)
@click.option(
    "--listen",
    envvar="CLEW_LISTEN",
    default="",
    metavar="HOST:PORT",
    help="Also serve proxies of other hosts here, with mutual TLS. Istio's port is 15012 "
    "(CLEW_LISTEN).",
)
@click.option(
    "--listen-join",
    envvar="CLEW_LISTEN_JOIN",
    default="",
    metavar="HOST:PORT",
    help="Give hosts with a join token their first certificate here, with TLS (CLEW_LISTEN_JOIN).",
)
@click.option(
    "--api-address",
    default="",
    metavar="HOST:PORT",
    help="Also serve the admin API here, over TLS, to those with a token or a client certificate.",
)
@click.option(
    "--api-certificate",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The certificate chain of --api-address. Default: one of the mesh's authority.",
)
@click.option(
    "--api-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The key of --api-certificate.",
)
@click.option(
    "--api-client-ca",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Who signs certificates of clients, whose organization is clew:viewer, clew:editor or "
    "clew:admin.",
)
@click.option(
    "--monitoring-address",
    envvar="CLEW_MONITORING_ADDRESS",
    default="",
    metavar="HOST:PORT",
    help="Serve the control plane's metrics here, at /metrics and in plain HTTP "
    "(CLEW_MONITORING_ADDRESS). Istio's port is 15014.",
)
@click.option(
    "--trace-age",
    type=DURATION,
    envvar="CLEW_TRACE_AGE",
    default="24h",
    show_default=True,
    metavar="TIME",
    help="How long traces are kept (CLEW_TRACE_AGE).",
)
@click.option(
    "--trace-megabytes",
    envvar="CLEW_TRACE_MEGABYTES",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    help="How much room traces may take (CLEW_TRACE_MEGABYTES).",
)
def command(
    state_dir: Path | None,
    mesh: str,
    configuration: Path | None,
    ca_dir: Path | None,
    ca_key: str,
    listen: str,
    listen_join: str,
    api_address: str,
    api_certificate: Path | None,
    api_key: Path | None,
    api_client_ca: Path | None,
    monitoring_address: str,
    trace_age: timedelta,
    trace_megabytes: int,
) -> None:
    """Run the control plane in the foreground until it is stopped.

    Proxies connect to xds.sock and ca.sock, `clew apply` and its like to api.sock, all in the
    state directory. Proxies of other hosts connect only where `--listen` says.
    """
    from clew.server.api_port import ApiPort
    from clew.server.control_plane import Settings, run_control_plane
    from clew.server.identities import AuthoritySettings
    from clew.server.proxy_ports import RemotePorts
    from clew.server.registration import GRACE
    from clew.stores.traces_file import TraceLimits

    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level="INFO")
    try:
        settings = Settings(
            state=(state_dir or mesh_directory(mesh, os.environ)).absolute(),
            configuration=configuration,
            grace=_grace(os.environ, otherwise=GRACE),
            blocked=_blocked(os.environ),
            authority=AuthoritySettings(plugged_in=ca_dir, key_kind=KeyKind(ca_key)),
            remote=RemotePorts(xds=listen, join=listen_join),
            api=ApiPort(
                address=api_address,
                certificate=api_certificate,
                key=api_key,
                client_roots=api_client_ca,
            ),
            monitoring=monitoring_address,
            traces=TraceLimits(age=trace_age, size=trace_megabytes * 1024 * 1024),
        )
        asyncio.run(_until_told(run_control_plane(settings)))
    except (BadLocation, UnusableKeys, UnusableAuthority, OSError) as error:
        raise click.ClickException(str(error)) from error
    except ExceptionGroup as group:
        raise click.ClickException("; ".join(str(e) for e in group.exceptions)) from group


def _grace(environ: Mapping[str, str], *, otherwise: timedelta) -> timedelta:
    text = environ.get(_GRACE)
    try:
        return Duration.parse(text).timedelta if text else otherwise
    except ValueError as error:
        raise click.ClickException(f"{_GRACE}: {error}") from error


def _blocked(
    environ: Mapping[str, str],
) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    listed = environ.get(_BLOCKED, "").split(",")
    try:
        return tuple(ipaddress.ip_network(each.strip()) for each in listed if each.strip())
    except ValueError as error:
        raise click.ClickException(f"{_BLOCKED}: {error}") from error


async def _until_told(serving: Coroutine[object, object, None]) -> None:
    """Serve until a signal says that it is enough."""
    running = asyncio.ensure_future(serving)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    with suppress(asyncio.CancelledError):
        await running
