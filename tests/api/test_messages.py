"""What the messages of the admin API tell."""

from __future__ import annotations

from clew.api.messages import ProxyList, ProxyStatus, TypeStatus

ACKED, PENDING, REFUSED = (TypeStatus(state=s) for s in ("acked", "pending", "nacked"))


def proxies(*types: dict[str, TypeStatus], connected: bool = True) -> ProxyList:
    statuses = (ProxyStatus(name=str(n), connected=connected, types=t) for n, t in enumerate(types))
    return ProxyList(proxies=tuple(statuses), revision=7)


def test_proxies_settle_once_each_has_answered_whatever_it_says() -> None:
    assert proxies({"CDS": ACKED}, {"CDS": REFUSED}).has_settled(7)
    assert not proxies({"CDS": ACKED}, {"CDS": ACKED, "EDS": PENDING}).has_settled(7)


def test_nobody_has_answered_what_is_not_published_yet() -> None:
    assert not proxies({"CDS": ACKED}).has_settled(8)


def test_one_type_may_settle_before_the_others() -> None:
    early = proxies({"EDS": ACKED, "LDS": PENDING})
    assert early.has_settled(7, only="EDS")
    assert not early.has_settled(7, only="LDS")


def test_a_proxy_that_is_away_is_not_waited_for() -> None:
    assert proxies({"CDS": PENDING}, connected=False).has_settled(7)
