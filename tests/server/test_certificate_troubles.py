"""Certificates that end soon, by a clock: of proxies, in Secrets, the authority's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clew.api.traffic_report import ProxyFacts
from clew.api.views import AUTHORITY
from clew.ca.in_force import AuthorityInForce
from clew.model.base import ResourceKey
from clew.model.proxy import Proxy, ProxyType
from clew.server.certificate_troubles import (
    authority_troubles,
    proxy_certificates,
    secret_certificates,
)
from clew.server.certificates import HeldCertificate, ends_soon

DAY = 86400.0
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROXY = Proxy(type=ProxyType.SIDECAR, name="reviews-v1-0", namespace="default", ip="10.0.0.1")


@pytest.mark.parametrize(
    ("life", "left", "late"),
    [
        (DAY, 0.11 * DAY, False),
        (DAY, 0.09 * DAY, True),
        (3650 * DAY, 31 * DAY, False),
        (3650 * DAY, 29 * DAY, True),
        (DAY, -1, True),
    ],
)
def test_the_last_tenth_of_a_life_is_late_but_no_more_than_a_month(
    life: float, left: float, late: bool
) -> None:
    assert ends_soon(0, life, life - left) is late


def test_a_certificate_of_a_proxy_that_was_not_renewed_in_time_is_told() -> None:
    def told(ends: float, now: float) -> list[tuple[str, str, str]]:
        facts = ProxyFacts(certificate_begins=0.0 if ends else 0, certificate_ends=ends)
        found = proxy_certificates([(PROXY, facts)], now)
        return [(each.severity, each.problem, each.proxy) for each in found]

    assert told(1000.0, 800.0) == told(0, 800.0) == []
    assert told(1000.0, 940.0) == [
        (
            "warning",
            "the certificate of reviews-v1-0 expires within two minutes",
            PROXY.node_id,
        )
    ]
    ((severity, problem, _),) = told(1000.0, 1001.0)
    assert severity == "error"
    assert "has expired: others refuse its connections" in problem


def test_a_certificate_in_a_secret_leads_to_it() -> None:
    key = ResourceKey("", "Secret", "istio-system", "bookinfo")
    held = HeldCertificate(key, "CN=shop", NOW - timedelta(days=89), NOW + timedelta(hours=5))
    (soon,) = secret_certificates([held], NOW.timestamp())
    assert soon.severity == "warning"
    assert "Secret istio-system/bookinfo (CN=shop)" in soon.problem
    assert "expires in 5 hours" in soon.problem
    assert soon.object is not None
    assert soon.object.resource_key() == key
    (over,) = secret_certificates([held], NOW.timestamp() + DAY)
    assert over.severity == "error"


def test_an_authority_near_its_end_is_told_with_what_to_do(tmp_path: Path) -> None:
    clock = [NOW]
    authority = AuthorityInForce(tmp_path, "cluster.local", now=lambda: clock[0])
    assert list(authority_troubles(authority, NOW.timestamp())) == []
    late = authority.current.root.not_valid_after_utc - timedelta(days=3)
    root, *_ = authority_troubles(authority, late.timestamp())
    assert root.problem == "the authority's root certificate expires in 3 days"
    assert (root.hint, root.view) == ("clew ca rotate", AUTHORITY)
    authority.problem = "no key"
    (first, *_) = authority_troubles(authority, NOW.timestamp())
    assert (first.severity, first.view) == ("error", AUTHORITY)
    assert "no key" in first.problem
