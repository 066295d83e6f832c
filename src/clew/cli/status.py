"""``clew status``: proxies, connected and in sync or not, and what is wrong."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import click

from clew.api.authority import AuthorityStatus
from clew.api.messages import Finding, ProxyStatus, Refusal
from clew.api.views import Trouble
from clew.cli.ca import authority_line
from clew.cli.connection import connected, mesh_option
from clew.cli.output import echo_value, output_option, table
from clew.cli.trouble_text import trouble_text

_TYPES = ("CDS", "LDS", "EDS", "RDS")
_WORDS = {"acked": "SYNCED", "pending": "PENDING", "nacked": "REJECTED"}


@click.command("status")
@output_option("json", "yaml")
@mesh_option
def command(output: str | None, mesh: str) -> None:
    """Proxies: connected and in sync, and what is wrong now.

    SYNCED: the proxy confirmed the newest configuration. PENDING: it was sent and is not
    confirmed yet. REJECTED: the proxy refused it and goes on with what it had.

    An object that a proxy refuses is held: the last generation that was good stays in force
    until the object is changed. Such refusals are listed, also those that are over.

    VERSION is Envoy's. CERTIFICATE says for how long that of the proxy is good; it is renewed by
    itself in the second half of its life.

    Everything else that is wrong now is listed with the command that shows its cause, as the
    console's overview has it: workloads that ended, routes to nowhere, calls that fail or are
    denied, certificates that end soon.

    Also shown is until when the certificate authority is good; more says `clew ca status`.

    Exits with 1 when a proxy rejected configuration, lost its connection or has a certificate that
    has expired, an object is held, configuration has errors, or the authority that is plugged in
    cannot be used.
    """
    with connected(mesh) as client:
        listed, problems = client.proxies(), client.problems().problems
        authority, troubles = client.authority(), client.overview().troubles
    proxies, refusals = listed.proxies, listed.refusals
    if output is not None:
        found = {"proxies": proxies, "refusals": refusals, "problems": problems}
        echo_value({**found, "troubles": troubles, "authority": authority}, output)
    else:
        _echo(proxies, refusals, problems, authority)
        if text := trouble_text(_others(troubles, problems)):
            click.echo(f"\n{text}")
    bad = (
        bool(authority.problem)
        or any(found.is_error for found in problems)
        or any(each.held for each in refusals)
    )
    raise SystemExit(bad or not all(map(is_well, proxies)))


def _others(troubles: Iterable[Trouble], problems: Iterable[Finding]) -> list[Trouble]:
    """Those that are not said as problems of the configuration already."""
    said = {problem.text for problem in problems}
    return [trouble for trouble in troubles if trouble.problem not in said]


def is_well(proxy: ProxyStatus) -> bool:
    return (
        proxy.connected
        and all(status.state != "nacked" for status in proxy.types.values())
        and certificate_text(proxy, time.time()) != "EXPIRED"
    )


def rejections(proxies: Sequence[ProxyStatus]) -> list[str]:
    """What Envoy said, one text per proxy and type."""
    return [
        f"{_full_name(proxy)} rejected {kind}: {status.error}"
        + (f"\n  resources: {', '.join(status.resources)}" if status.resources else "")
        for proxy in proxies
        for kind, status in proxy.types.items()
        if status.state == "nacked"
    ]


def refusal_text(refusal: Refusal) -> str:
    """What was refused, what is in force instead, and why."""
    where = f"{refusal.at}: {refusal.proxy} refused {refusal.resource}"
    if not refusal.object:
        return f"{where}, for no single object's sake: {refusal.reason}"
    instead = f"generation {refusal.held_at}" if refusal.held_at else "nothing of it"
    now = f"in force is {instead}" if refusal.held else "over: the object was changed since"
    return (
        f"{where} because of {refusal.object}, generation {refusal.generation}: "
        f"{refusal.reason}\n  {now}"
    )


def _echo(
    proxies: Sequence[ProxyStatus],
    refusals: Sequence[Refusal],
    problems: Sequence[Finding],
    authority: AuthorityStatus,
) -> None:
    if proxies:
        click.echo(table([_header(proxies), *(_row(proxy, proxies) for proxy in proxies)]))
    else:
        click.echo("No proxy is connected.", err=True)
    texts = [refusal_text(refusal) for refusal in refusals]
    for text in [*rejections(proxies), *texts, *(found.text for found in problems)]:
        click.echo(f"\n{text}")
    click.echo(f"\n{authority_line(authority)}")


def _types(proxies: Sequence[ProxyStatus]) -> list[str]:
    others = {kind for proxy in proxies for kind in proxy.types if kind not in _TYPES}
    return [*_TYPES, *sorted(others)]


def _header(proxies: Sequence[ProxyStatus]) -> list[str]:
    return ["NAME", "CONNECTED", *_types(proxies), "VERSION", "CERTIFICATE", "ADDRESS"]


def _row(proxy: ProxyStatus, proxies: Sequence[ProxyStatus]) -> list[str]:
    states = [
        _WORDS[proxy.types[kind].state] if kind in proxy.types else "-" for kind in _types(proxies)
    ]
    return [
        *(_full_name(proxy), "yes" if proxy.connected else "NO", *states, proxy.version or "-"),
        *(certificate_text(proxy, time.time()), proxy.address or "-"),
    ]


def certificate_text(proxy: ProxyStatus, now: float) -> str:
    """For how long the certificate is good: ``23h``, ``45m``; ``EXPIRED``."""
    left = proxy.certificate_ends - now
    if not proxy.certificate_ends:
        return "-"
    if left <= 0:
        return "EXPIRED"
    return f"{left / 3600:.0f}h" if left >= 7200 else f"{max(left / 60, 1):.0f}m"


def _full_name(proxy: ProxyStatus) -> str:
    return f"{proxy.name}.{proxy.namespace}" if proxy.namespace else proxy.name
