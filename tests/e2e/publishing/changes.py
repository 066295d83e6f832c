"""Endless random changes to a mesh: those that no request may notice, and those that break it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from random import Random

from tests.e2e.publishing.world import Destination, World

Step = Callable[[World], World]

BACKENDS = ("b1", "b2", "b3", "b4")
VERSIONS = ("v1", "v2", "v3", "v4")
HOME = tuple(zip(BACKENDS, VERSIONS, strict=True))


def initial(world: World, front: str) -> World:
    """The host ``front`` with four versions, of which the first gets all requests."""
    world = world.with_service(front, *HOME).with_subsets(front, first="v1")
    return world.with_routes(front, _everything(front, "first"))


def _everything(host: str, subset: str = "") -> tuple[str, tuple[Destination, ...]]:
    return ("/", (Destination(host, subset),))


def _service(host: str, *endpoints: tuple[str, str]) -> Step:
    return lambda world: world.with_service(host, *endpoints)


def _no_service(host: str) -> Step:
    return lambda world: world.without_service(host)


def _subsets(host: str, **versions: str) -> Step:
    return lambda world: world.with_subsets(host, **versions)


def _timeout(host: str, seconds: int) -> Step:
    return lambda world: world.with_timeout(host, seconds)


def _no_rule(host: str) -> Step:
    return lambda world: world.without_rule(host)


def _routes(host: str, *routes: tuple[str, tuple[Destination, ...]]) -> Step:
    return lambda world: world.with_routes(host, *routes)


def harmless(random: Random, front: str) -> Iterator[Step]:
    """Changes in an order in which every request finds a backend at every moment."""
    numbers = count()
    subset, version = "first", "v1"
    while True:
        name = f"n{next(numbers)}"
        match random.randrange(6):
            case 0 | 1:
                target = random.choice(VERSIONS)
                yield from _canary(random, front, (subset, version), (name, target))
                subset, version = name, target
            case 2:
                yield from _detour(random, front, subset, f"{name}.{front}")
            case 3:
                yield from _path(random, front, subset, f"{name}.{front}")
            case 4:
                yield _timeout(front, random.randrange(1, 100))
            case _:
                yield from _scaling(random, front)


def _canary(
    random: Random, front: str, old: tuple[str, str], new: tuple[str, str]
) -> Iterator[Step]:
    """A new subset, all requests step by step, and no old subset any more."""
    yield _subsets(front, **dict((old, new)))
    for weight in sorted(random.sample(range(1, 100), random.randrange(3))):
        shares = (Destination(front, old[0], 100 - weight), Destination(front, new[0], weight))
        yield _routes(front, ("/", shares))
    yield _routes(front, _everything(front, new[0]))
    yield _subsets(front, **dict((new,)))


def _detour(random: Random, front: str, subset: str, service: str) -> Iterator[Step]:
    """A new service takes over for a while."""
    yield _service(service, (random.choice(BACKENDS), "v1"))
    with_subset = random.random() < 0.5
    if with_subset:
        yield _subsets(service, all="v1")
    yield _routes(front, _everything(service, "all" if with_subset else ""))
    yield _routes(front, _everything(front, subset))
    if with_subset:
        yield _no_rule(service)
    yield _no_service(service)


def _path(random: Random, front: str, subset: str, service: str) -> Iterator[Step]:
    """A path of its own goes to a new service for a while."""
    home = _everything(front, subset)
    yield _service(service, (random.choice(BACKENDS), "v1"))
    yield _routes(front, ("/a", (Destination(service),)), home)
    with_rule = random.random() < 0.5
    if with_rule:
        yield _timeout(service, random.randrange(1, 100))
    yield _routes(front, home)
    if with_rule:
        yield _no_rule(service)
    yield _no_service(service)


def _scaling(random: Random, front: str) -> Iterator[Step]:
    """More endpoints, and fewer again, of every version at least one."""
    more = [(backend, random.choice(VERSIONS)) for backend in random.sample(BACKENDS, 2)]
    yield _service(front, *HOME, *more)
    yield _service(front, *HOME)


def breaking(random: Random, front: str) -> Iterator[Step]:
    """Changes after some of which requests must fail, and after the next ones must not."""
    numbers = count()
    home = _everything(front, "first")
    while True:
        name = f"m{next(numbers)}"
        service = f"{name}.{front}"
        match random.randrange(5):
            case 0:  # the route is there before its subset
                yield _routes(front, _everything(front, name))
                yield _subsets(front, **{"first": "v1", name: "v2"})
            case 1:  # a subset goes before its route
                yield _subsets(front, other="v3")
            case 2:  # the route is there before its service, and longer
                yield _routes(front, _everything(service))
                yield _service(service, ("b2", "v1"))
                yield _no_service(service)
            case 3:  # nobody serves for a while
                yield _service(front)
                yield _service(front, *HOME)
            case _:  # no rule, so no subset
                yield _no_rule(front)
        yield _subsets(front, first="v1")
        yield _routes(front, home)
