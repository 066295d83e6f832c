"""Istio's admission rules for load balancing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from clew.config.finding import FieldPath, Finding
from clew.config.validate.scalars import check_duration, check_range
from clew.model.destination_rule import (
    ConsistentHashLB,
    LoadBalancerSettings,
    LocalityDistribute,
    LocalityFailover,
    LocalityLoadBalancerSetting,
    WarmupConfiguration,
    ZoneAwareLoadBalancerSetting,
)

_LARGEST_MAGLEV = 5_000_011
_PLACES = frozenset(
    {"topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"}
)


def check_load_balancer(lb: LoadBalancerSettings, path: FieldPath) -> Iterator[Finding]:
    policies = {
        "simple": lb.simple,
        "consistentHash": lb.consistent_hash,
        "backendUtilization": lb.backend_utilization,
    }
    given = [name for name, value in policies.items() if value is not None]
    if len(given) > 1:
        yield Finding(path, f"{' and '.join(given)} exclude each other")
    if lb.consistent_hash is not None:
        yield from _check_consistent_hash(lb.consistent_hash, (*path, "consistentHash"))
    if lb.locality_lb_setting is not None and lb.zone_aware_lb_setting is not None:
        yield Finding(path, "localityLbSetting and zoneAwareLbSetting exclude each other")
    if lb.locality_lb_setting is not None:
        yield from check_locality(lb.locality_lb_setting, (*path, "localityLbSetting"))
    if (zones := lb.zone_aware_lb_setting) is not None:
        yield from check_zones(zones, (*path, "zoneAwareLbSetting"))
    if lb.warmup is not None and lb.warmup_duration_secs is not None:
        yield Finding(path, "warmup and warmupDurationSecs exclude each other")
    yield from check_duration(lb.warmup_duration_secs, (*path, "warmupDurationSecs"))
    if lb.warmup is not None:
        yield from _check_warmup(lb.warmup, (*path, "warmup"))


def fails_over(lb: LoadBalancerSettings) -> bool:
    """Does traffic leave its place when endpoints are unhealthy?"""
    settings = (lb.locality_lb_setting, lb.zone_aware_lb_setting)
    return any(each is not None and (each.failover or each.failover_priority) for each in settings)


def _check_warmup(warmup: WarmupConfiguration, path: FieldPath) -> Iterator[Finding]:
    yield from check_duration(warmup.duration, (*path, "duration"))
    yield from check_range(warmup.minimum_percent, 0, 100, (*path, "minimumPercent"))
    if warmup.aggression is not None and warmup.aggression < 1:
        yield Finding((*path, "aggression"), "must be at least 1")


def _check_consistent_hash(lb: ConsistentHashLB, path: FieldPath) -> Iterator[Finding]:
    keys = (lb.http_header_name, lb.http_cookie, lb.use_source_ip, lb.http_query_parameter_name)
    if sum(key is not None for key in keys) > 1:
        problem = "set only one of httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName"
        yield Finding(path, problem)
    if lb.http_cookie is not None:
        if not lb.http_cookie.name:
            yield Finding((*path, "httpCookie", "name"), "the name is empty")
        names = [attribute.name for attribute in lb.http_cookie.attributes]
        for index, name in enumerate(names):
            at = (*path, "httpCookie", "attributes", index, "name")
            if not name:
                yield Finding(at, "the name is empty")
            elif name in names[:index]:
                yield Finding(at, f'the attribute "{name}" is there twice')
    algorithms = (lb.ring_hash, lb.maglev, lb.minimum_ring_size)
    if sum(algorithm is not None for algorithm in algorithms) > 1:
        yield Finding(path, "set only one of ringHash, maglev and minimumRingSize")
    if lb.minimum_ring_size:
        problem = "this field is deprecated"
        yield Finding((*path, "minimumRingSize"), problem, "use ringHash", warning=True)
    if lb.maglev is not None:
        size = lb.maglev.table_size or 0
        if not (size < _LARGEST_MAGLEV and _is_prime(size)):
            problem = f"{size} is not a prime number below {_LARGEST_MAGLEV}"
            yield Finding((*path, "maglev", "tableSize"), problem)


def _is_prime(number: int) -> bool:
    """To Envoy, 1 is a prime number too."""
    return number > 0 and all(number % n for n in range(2, int(number**0.5) + 1))


def check_locality(setting: LocalityLoadBalancerSetting, path: FieldPath) -> Iterator[Finding]:
    """Source: istio ``validateLocalityLbSetting``."""
    if setting.distribute and setting.failover:
        yield Finding(path, "distribute and failover exclude each other")
    yield from _check_distribute(setting.distribute, (*path, "distribute"))
    yield from _check_failover(setting.failover, (*path, "failover"))
    if setting.failover:
        yield from _check_priority(setting.failover_priority, (*path, "failoverPriority"))


def check_zones(setting: ZoneAwareLoadBalancerSetting, path: FieldPath) -> Iterator[Finding]:
    """Source: istio ``ValidateZoneAwareLbSetting``."""
    yield from _check_failover(setting.failover, (*path, "failover"))
    yield from _check_priority(setting.failover_priority, (*path, "failoverPriority"))


def _check_distribute(rules: Sequence[LocalityDistribute], path: FieldPath) -> Iterator[Finding]:
    for index, rule in enumerate(rules):
        at = (*path, index, "to")
        for place, weight in rule.to.items():
            if not 1 <= weight <= 100:
                yield Finding((*at, place), f"the weight {weight} is not between 1 and 100")
        if sum(rule.to.values()) != 100:
            yield Finding(at, f"the weights add up to {sum(rule.to.values())}, not 100")
        yield from _check_overlap([other.from_ for other in rules[: index + 1]], (*path, index))
        yield from _check_overlap(list(rule.to), at)


def _check_overlap(places: Sequence[str], path: FieldPath) -> Iterator[Finding]:
    """Does one before the last place take it in, or is it a region or zone of one before it?

    Source: istio ``validateLocalities``, to which a wildcard after other places is what is left.
    """
    *before, last = places or [""]
    if "" in last.split("/"):
        yield Finding(path, f'"{last}" has an empty part')
    if "*" in last.removesuffix("*"):
        yield Finding(path, f'"{last}": * may only stand at the end')
    for place in before:
        if _overlap(place.split("/", 2), last.split("/", 2)):
            yield Finding(path, f'"{last}" and "{place}" overlap')


def _overlap(first: Sequence[str], later: Sequence[str]) -> bool:
    """``first`` and ``later``: region, zone and subzone, or fewer."""
    for one, other in itertools.zip_longest(first, later):
        if one in (None, "*") or other is None:
            return True
        if one != other:
            return False
    return True


def _check_failover(rules: Sequence[LocalityFailover], path: FieldPath) -> Iterator[Finding]:
    for index, rule in enumerate(rules):
        if rule.from_ == rule.to:
            yield Finding((*path, index), f'"{rule.to}" cannot fail over to itself')
        for name, region in (("from", rule.from_), ("to", rule.to)):
            if "/" in region or "*" in region:
                yield Finding((*path, index, name), f'"{region}" is not the name of a region')


def _check_priority(labels: Sequence[str], path: FieldPath) -> Iterator[Finding]:
    for index, label in enumerate(labels):
        if label in _PLACES:
            yield Finding((*path, index), f'"{label}" is a place, which failover decides already')
