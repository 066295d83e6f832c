"""Which configurations may have been in force when, and so what a request may have got."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.e2e.publishing.world import Target, World


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request: ``got`` is the backend that answered, or ERROR; ``detail`` says more."""

    target: Target
    began: float
    ended: float
    got: str
    detail: str = ""


@dataclass(slots=True)
class _Epoch:
    """One configuration. ``until``: from then on no proxy has it any more; None: one may."""

    world: World
    since: float
    until: float | None = None


@dataclass(slots=True)
class Timeline:
    """Configurations in the order in which they were applied.

    One is possible from the moment that its change is sent, until every proxy is known to have a
    later one.
    """

    epochs: list[_Epoch] = field(default_factory=list)

    def applied(self, world: World, now: float) -> None:
        self.epochs.append(_Epoch(world, now))

    def settled(self, count: int, now: float) -> None:
        """All proxies have the configuration that was the latest when ``count`` were applied."""
        for epoch in self.epochs[: count - 1]:
            if epoch.until is None:
                epoch.until = now

    def allowed(self, outcome: Outcome) -> frozenset[str]:
        """What some configuration that was possible meanwhile would have given."""
        worlds = (
            epoch.world
            for epoch in self.epochs
            if epoch.since <= outcome.ended
            and (epoch.until is None or epoch.until >= outcome.began)
        )
        return frozenset().union(*(world.outcomes(outcome.target) for world in worlds))

    def violations(self, outcomes: Iterable[Outcome]) -> Iterator[str]:
        for outcome in outcomes:
            allowed = self.allowed(outcome)
            if outcome.got not in allowed:
                at = outcome.began - self.epochs[0].since
                wanted = "|".join(sorted(allowed))
                yield (
                    f"at {at:.3f} s {'/'.join(outcome.target)} got {outcome.got} "
                    f"{outcome.detail}, and only {wanted} was possible"
                )
