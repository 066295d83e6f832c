"""The guided tour: apply a step, wait until every proxy has it, measure, compare."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from clew.demo.load import Load, Outcome
from clew.demo.shares import Share, compare
from clew.demo.steps import Step, Traffic

REQUESTS = 800
CONNECTIONS = 400


@dataclass(frozen=True, slots=True)
class Measured:
    """What one kind of traffic did in one step. ``failures`` are texts, one per failed request."""

    traffic: Traffic
    shares: tuple[Share, ...]
    failures: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.failures and all(share.holds for share in self.shares)


@dataclass(frozen=True, slots=True)
class Result:
    step: Step
    measured: tuple[Measured, ...]

    @property
    def holds(self) -> bool:
        return all(m.holds for m in self.measured)


def version_of_reviews(body: bytes) -> str:
    """Tell from an answer of reviews which version gave it: no stars, black or red ones.

    Raises:
        ValueError, KeyError: not an answer of reviews, or one without its ratings.
    """
    rating = json.loads(body)["reviews"][0].get("rating")
    return "v1" if rating is None else {"black": "v2", "red": "v3"}[rating["color"]]


def take_steps(
    steps: Iterable[Step],
    *,
    apply: Callable[[str], None],
    address: tuple[str, int],
    count_tcp: Callable[[int], Counter[str]],
    announce: Callable[[Step], None],
) -> Iterator[Result]:
    """Yield each step's result. HTTP load never stops between the first step and the last.

    ``apply`` returns once every connected proxy has acknowledged the manifest.
    """
    path = "/api/v1/products/0/reviews"
    with (
        Load(address, path, version_of_reviews) as everyone,
        Load(address, path, version_of_reviews, headers={"end-user": "jason"}, workers=1) as jason,
    ):
        loads = {Traffic.EVERYONE: everyone, Traffic.JASON: jason}
        for step in steps:
            announce(step)
            # What failed while this step was applied and measured counts against it.
            before = {traffic: len(load.outcomes) for traffic, load in loads.items()}
            apply(step.manifest)
            measured = tuple(_measure(step, loads, count_tcp))
            failures = _failures(o for t, load in loads.items() for o in load.outcomes[before[t] :])
            yield Result(step, _with_failures(measured, failures))


def _measure(
    step: Step, loads: dict[Traffic, Load], count_tcp: Callable[[int], Counter[str]]
) -> Iterator[Measured]:
    for traffic, wanted in step.wanted.items():

        def sample(factor: int, traffic: Traffic = traffic) -> Sequence[str]:
            if traffic is Traffic.TCP:
                return list(count_tcp(CONNECTIONS * factor).elements())
            count = REQUESTS if traffic is Traffic.EVERYONE else REQUESTS // 8
            return [o.version for o in loads[traffic].sample(count * factor) if not o.failure]

        shares = compare(sample(1), wanted)
        if not all(share.holds for share in shares):
            # Chance alone puts 1 of 370 true shares beyond three sigmas; a wrong share stays there.
            shares = compare(sample(4), wanted)
        yield Measured(traffic, tuple(shares), ())


def _failures(outcomes: Iterable[Outcome]) -> tuple[str, ...]:
    return tuple(o.failure for o in outcomes if o.failure)


def _with_failures(
    measured: tuple[Measured, ...], failures: tuple[str, ...]
) -> tuple[Measured, ...]:
    first, *rest = measured
    return (Measured(first.traffic, first.shares, failures), *rest)


def count_tcp_answers(mesh: str, connections: int) -> Counter[str]:
    """Open connections to tcp-echo from a program that ``clew run`` puts into the mesh.

    Raises:
        subprocess.CalledProcessError: the program could not run; its output was printed.
    """
    run = [sys.executable, "-m", "clew", "run", "--mesh", mesh, "--name", "tcp-client", "--quiet"]
    client = [sys.executable, "-m", "clew.demo.bookinfo.tcp_client"]
    output = subprocess.run(
        [*run, "--upstream", "tcp-echo:9000", "--", *client, "tcp-echo", "9000", str(connections)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ).stdout
    return Counter(json.loads(output.strip().splitlines()[-1]))
