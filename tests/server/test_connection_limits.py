from __future__ import annotations

from clew.server.connection_limits import BURST, OPEN, PER_SECOND, ConnectionLimits


def test_an_address_may_connect_so_often_and_then_so_fast() -> None:
    limits = ConnectionLimits()
    assert [limits.admits("10.0.0.1", 0.0) for _ in range(BURST + 1)] == [True] * BURST + [False]
    assert limits.admits("10.0.0.2", 0.0)
    assert not limits.admits("10.0.0.1", 0.5 / PER_SECOND)
    assert limits.admits("10.0.0.1", 1.5 / PER_SECOND)


def test_connections_that_stay_open_count_until_they_are_closed() -> None:
    limits = ConnectionLimits()
    for second in range(OPEN):
        assert limits.admits("10.0.0.1", float(second))
        limits.opened("10.0.0.1")
    assert not limits.admits("10.0.0.1", 1000.0)
    limits.closed("10.0.0.1")
    assert limits.admits("10.0.0.1", 1000.0)


def test_all_addresses_of_one_network_of_ipv6_count_together() -> None:
    limits = ConnectionLimits()
    admitted = [limits.admits(f"2001:db8::{number:x}", 0.0) for number in range(BURST + 1)]
    assert admitted == [True] * BURST + [False]
    assert limits.admits("2001:db8:0:1::1", 0.0)


def test_what_is_remembered_is_bounded() -> None:
    limits = ConnectionLimits()
    for number in range(10_000):
        limits.admits(f"10.0.{number // 256}.{number % 256}", 0.0)
    assert len(limits._left) <= 4096
