"""Rules for where a route goes: hosts, subsets, ports and weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clew.config.finding import FieldPath, Finding
from clew.config.validate.hosts import check_port, host_problem, is_host_label
from clew.model.virtual_service import Destination, HTTPRouteDestination, RouteDestination

_LARGEST_WEIGHT = 2**31 - 1


def check_destination(destination: Destination | None, path: FieldPath) -> Iterator[Finding]:
    """Source: istio ``validateDestination``."""
    if destination is None:
        yield Finding(path, "a destination is missing")
        return
    if destination.host == "*":
        yield Finding((*path, "host"), '"*" is not a destination')
    elif problem := host_problem(destination.host):
        yield Finding((*path, "host"), problem)
    if destination.subset and not is_host_label(destination.subset):
        yield Finding((*path, "subset"), f'"{destination.subset}" is not a subset name')
    if destination.port is not None:
        yield from check_port(destination.port.number or 0, (*path, "port", "number"))


def check_weights(
    routes: Sequence[HTTPRouteDestination | RouteDestination], path: FieldPath
) -> Iterator[Finding]:
    for index, to in enumerate(routes):
        if not 0 <= (to.weight or 0) <= _LARGEST_WEIGHT:
            problem = f"{to.weight} is not between 0 and {_LARGEST_WEIGHT}"
            yield Finding((*path, index, "weight"), problem)
    if len(routes) > 1 and sum(to.weight or 0 for to in routes) <= 0:
        yield Finding(path, "the weights add up to 0, so no request could go anywhere")


def check_connections(routes: Sequence[RouteDestination], path: FieldPath) -> Iterator[Finding]:
    """Where a TLS or TCP route goes."""
    if not routes:
        yield Finding(path, "a route is missing")
    for index, to in enumerate(routes):
        yield from check_destination(to.destination, (*path, index, "destination"))
    yield from check_weights(routes, path)
