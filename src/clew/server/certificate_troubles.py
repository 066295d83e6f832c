"""Certificates that have ended or end soon: of proxies, in Secrets, of the authority itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clew.api.messages import key_message
from clew.api.traffic_report import ProxyFacts
from clew.api.views import AUTHORITY, Trouble, TroubleSeverity
from clew.ca.in_force import AuthorityInForce
from clew.model.proxy import Proxy
from clew.server.certificates import HeldCertificate, ends_soon


def proxy_certificates(
    proxies: Iterable[tuple[Proxy, ProxyFacts]], now: float
) -> Iterator[Trouble]:
    """They are renewed by themselves in the second half of their life."""
    for proxy, facts in proxies:
        begins, ends = facts.certificate_begins, facts.certificate_ends
        if ends and ends_soon(begins, ends, now):
            refused = ": others refuse its connections" if now > ends else ""
            yield Trouble(
                severity=_severity(ends, now),
                problem=f"the certificate of {proxy.name} {_end(ends, now)}{refused}",
                hint=f"Why it is not renewed: clew logs {proxy.name} --proxy",
                proxy=proxy.node_id,
            )


def secret_certificates(held: Iterable[HeldCertificate], now: float) -> Iterator[Trouble]:
    """Nobody renews them but who put them there."""
    for each in held:
        ends = each.ends.timestamp()
        yield Trouble(
            severity=_severity(ends, now),
            problem=f"the certificate in {each.secret} ({each.subject}), which proxies use, "
            f"{_end(ends, now)}",
            hint="Apply the Secret with a new one; proxies take it up at once",
            object=key_message(each.secret),
        )


def authority_troubles(authority: AuthorityInForce, now: float) -> Iterator[Trouble]:
    if authority.problem:
        problem = f"the authority that is plugged in is not used: {authority.problem}"
        yield Trouble(severity="error", problem=problem, view=AUTHORITY)
    current = authority.current
    # The root itself may sign; one line is enough.
    named = {current.root: "root certificate", current.certificate: "signing certificate"}
    for certificate, what in named.items():
        ends = certificate.not_valid_after_utc.timestamp()
        if ends_soon(certificate.not_valid_before_utc.timestamp(), ends, now):
            yield Trouble(
                severity=_severity(ends, now),
                problem=f"the authority's {what} {_end(ends, now)}",
                hint="Plug in another one" if authority.is_plugged_in else "clew ca rotate",
                view=AUTHORITY,
            )


def _severity(ends: float, now: float) -> TroubleSeverity:
    return "error" if now > ends else "warning"


def _end(ends: float, now: float) -> str:
    left = ends - now
    if left < 0:
        return "has expired"
    for seconds, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if left >= 2 * seconds:
            return f"expires in {left / seconds:.0f} {unit}"
    return "expires within two minutes"
