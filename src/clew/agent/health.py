"""Tells the control plane whether the workload is ready, until it has heard it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from clew.agent.backoff import delays
from clew.agent.conditions import Conditions
from clew.agent.http_client import request_unix
from clew.agent.spec import AgentSpec

log = logging.getLogger("clew.agent")

Status = Mapping[str, Any]


def pod_status(spec: AgentSpec, *, ready: bool, phase: str, restarts: int) -> Status:
    """Return the Pod status that says so.

    Source: Kubernetes' PodStatus; the Ready condition decides whether endpoints include the Pod.
    """
    return {
        "podIP": spec.ip,
        "phase": phase,
        "conditions": [{"type": "Ready", "status": str(ready)}],
        "containerStatuses": [{"name": "app", "ready": ready, "restartCount": restarts}],
    }


def status_path(spec: AgentSpec) -> str:
    return f"/v1/objects/core/Pod/{spec.namespace}/{spec.name}/status"


def current_status(spec: AgentSpec, conditions: Conditions) -> Status:
    return pod_status(
        spec, ready=conditions.ready, phase=conditions.phase, restarts=conditions.restarts
    )


async def run_reports(spec: AgentSpec, conditions: Conditions) -> None:
    """Report each change until cancelled; what is repeated is the latest state."""
    reported: Status | None = None
    while True:
        await conditions.wait_for(partial(_differs, spec, conditions, reported))
        for delay in delays(0.1, 5.0):
            reported = current_status(spec, conditions)
            if await report_once(spec, conditions):
                break
            await asyncio.sleep(delay)


def _differs(spec: AgentSpec, conditions: Conditions, reported: Status | None) -> bool:
    return current_status(spec, conditions) != reported


async def report_once(spec: AgentSpec, conditions: Conditions) -> bool:
    """Send the present state; return whether the control plane took it."""
    try:
        answer = await request_unix(
            spec.api.removeprefix("unix:"),
            "PUT",
            status_path(spec),
            body=msgspec.json.encode(current_status(spec, conditions)),
            headers={"Content-Type": "application/json"},
        )
    except (OSError, ValueError) as error:
        log.warning("control plane away api=%s error=%r; will report again", spec.api, str(error))
        return False
    if not answer.ok:
        log.warning("readiness not taken status=%d body=%r", answer.status, answer.body[:200])
    return answer.ok
