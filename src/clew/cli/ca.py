"""``clew ca``: the certificate authority, its rotation, and tokens for hosts that join."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import click

from clew.api.authority import AuthorityStatus, CertificateSummary, RotationRequest
from clew.api.client import Client
from clew.ca.keys import KeyKind
from clew.cli.ca_token import token
from clew.cli.connection import connected, mesh_option
from clew.cli.durations import DURATION
from clew.cli.output import echo_value, output_option

_POLL_SECONDS = 0.25
_DAY = 86_400
# How many proxies a line names.
_NAMED = 5


@click.group("ca")
def command() -> None:
    """The certificate authority: what signs, until when, and how roots are changed."""


command.add_command(token)


@command.command("status")
@output_option("json", "yaml")
@mesh_option
def status(output: str | None, mesh: str) -> None:
    """Show what signs, which roots are trusted, and where a change of roots is.

    Exits with 1 when what is plugged in cannot be used.
    """
    with connected(mesh) as client:
        found = client.authority()
    if output is not None:
        echo_value(found, output)
    else:
        click.echo("\n".join(_status(found)))
    raise SystemExit(bool(found.problem))


@command.command("rotate")
@click.option("--dry-run", is_flag=True, help="Say what would happen, and change nothing.")
@click.option(
    "--key",
    type=click.Choice([kind.value for kind in KeyKind]),
    default=None,
    help="The kind of the new keys [default: as the control plane was started with].",
)
@click.option("--no-wait", is_flag=True, help="Return when the change has begun.")
@click.option(
    "--timeout",
    type=DURATION,
    default="15m",
    show_default=True,
    metavar="DURATION",
    help="How long to wait. The change goes on afterwards.",
)
@output_option("json", "yaml")
@mesh_option
def rotate(
    dry_run: bool, key: str | None, no_wait: bool, timeout: timedelta, output: str | None, mesh: str
) -> None:
    """Replace the root of the mesh, without a failed request.

    First all proxies learn to trust the new root beside the old one; then the new one signs, and
    all get new certificates; then the old one is forgotten. Each step begins when all proxies
    have taken the one before. No connection is closed.

    Exits with 1 when it did not end in time.

    \b
    Example:
        clew ca rotate --dry-run
        clew ca rotate
    """
    with connected(mesh) as client:
        found = client.rotate_authority(RotationRequest(key=key or "", dry_run=dry_run))
        ended = (
            dry_run
            or no_wait
            or _follow(client, found, timeout.total_seconds(), quiet=output is not None)
        )
        if output is not None:
            echo_value(found if dry_run or no_wait else client.authority(), output)
        elif dry_run:
            click.echo("\n".join(_plan(found, key)))
        elif no_wait:
            click.echo("The change has begun: see clew ca status")
    raise SystemExit(not ended)


def authority_line(found: AuthorityStatus) -> str:
    """The authority in one line, as ``clew status`` has it."""
    ends = f"root expires {_end(found.root)}, signing certificate {_end(found.signing)}"
    phase = f"; changing roots, {_phase(found)}" if found.phase else ""
    problem = f"\n  plugged-in authority refused: {found.problem}" if found.problem else ""
    return f"Certificate authority: {ends}{phase}{problem}"


def _status(found: AuthorityStatus) -> Iterator[str]:
    yield f"Trust domain:  {', '.join((found.trust_domain, *found.trust_domain_aliases))}"
    yield f"Authority:     {'plugged in' if found.plugged_in else 'of clew'}"
    yield f"Signing:       {_certificate(found.signing)}"
    for number, root in enumerate(found.trusted):
        yield f"{'Trusted roots:' if number == 0 else '':14} {_certificate(root)}"
    if found.phase:
        yield f"Rotation:      {_phase(found)}"
    if found.problem:
        yield f"Problem:       {found.problem}"


def _plan(found: AuthorityStatus, key: str | None) -> Iterator[str]:
    proxies = _count(found.followed + len(found.waiting))
    kind = key or "as before"
    yield f"Now:    {_certificate(found.root)}"
    yield f"trust:  A new root is made (key: {kind}). {proxies} learn to trust it beside the old"
    yield "        one, which still signs."
    yield "sign:   When all have, the new one signs, and all get new certificates."
    yield "drop:   When all have, the old one is forgotten."
    yield "No connection is closed. Nothing was changed."


def _follow(client: Client, found: AuthorityStatus, seconds: float, *, quiet: bool) -> bool:
    """Print where the change is until it has ended; False: not in time."""
    until, said = time.monotonic() + seconds, ""
    while found.phase:
        if (now := _phase(found)) != said and not quiet:
            click.echo(now)
            said = now
        if time.monotonic() > until:
            click.echo("It has not ended yet, and goes on: see clew ca status", err=True)
            return False
        time.sleep(_POLL_SECONDS)
        found = client.authority()
    if not quiet:
        click.echo(f"In force: {_certificate(found.root)}")
    return True


def _phase(found: AuthorityStatus) -> str:
    what = {
        "trust": "trust: proxies learn to trust the new root",
        "sign": "sign: proxies get certificates of the new root",
    }.get(found.phase, found.phase)
    if not found.waiting:
        return f"{what}; all {found.followed} have"
    names = ", ".join(found.waiting[:_NAMED]) + (" …" if len(found.waiting) > _NAMED else "")
    return f"{what}; {found.followed} have, waiting for {len(found.waiting)}: {names}"


def _certificate(found: CertificateSummary) -> str:
    return f"{found.fingerprint[:16]}  {found.key}  expires {_end(found)}  ({found.subject})"


def _end(found: CertificateSummary) -> str:
    days = found.seconds_left // _DAY
    return f"{found.expires[:10]} (in {days} days)" if days >= 0 else f"{found.expires} (EXPIRED)"


def _count(proxies: int) -> str:
    return "1 proxy" if proxies == 1 else f"{proxies} proxies"
