"""When a probe's verdict changes: kubelet's counting, without doing any probing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from clew.model.pod import Probe


def with_defaults(probe: Probe) -> Probe:
    """Return the probe; where it says zero, it means Kubernetes' default.

    Source: istio ``fillInDefaults`` of the agent's health checks.
    """
    return msgspec.structs.replace(
        probe,
        timeout_seconds=probe.timeout_seconds or 1,
        period_seconds=probe.period_seconds or 10,
        success_threshold=probe.success_threshold or 1,
        failure_threshold=probe.failure_threshold or 3,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeState:
    """How one probe stands. ``passing`` None: no verdict yet.

    Source: kubelet's prober worker: a verdict needs ``successThreshold`` or ``failureThreshold``
    equal results in a row.
    """

    passing: bool | None = None
    last: bool | None = None
    in_a_row: int = 0

    def after(self, succeeded: bool, probe: Probe) -> ProbeState:
        in_a_row = self.in_a_row + 1 if succeeded == self.last else 1
        probe = with_defaults(probe)
        threshold = probe.success_threshold if succeeded else probe.failure_threshold
        passing = succeeded if in_a_row >= threshold else self.passing
        return replace(self, passing=passing, last=succeeded, in_a_row=in_a_row)
