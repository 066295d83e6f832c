"""Tells the control plane whether the workload is ready, until it has heard it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from clew.agent.backoff import delays
from clew.agent.conditions import Conditions, Ended
from clew.agent.http_client import request_unix
from clew.agent.spec import AgentSpec

log = logging.getLogger("clew.agent")

Status = Mapping[str, Any]


def pod_status(
    spec: AgentSpec, *, ready: bool, phase: str, restarts: int, ended: Ended | None = None
) -> Status:
    """Return the Pod status that says so.

    Source: Kubernetes' PodStatus; the Ready condition decides whether endpoints include the Pod.
    """
    container = {"name": "app", "ready": ready, "restartCount": restarts}
    if ended is not None:
        container["lastState"] = last_state(ended)
    return {
        "podIP": spec.ip,
        "phase": phase,
        "conditions": [{"type": "Ready", "status": str(ready)}],
        "containerStatuses": [container],
    }


def last_state(ended: Ended) -> Status:
    """Source: Kubernetes' ContainerStateTerminated."""
    return {
        "terminated": {
            "exitCode": ended.exit_code,
            "finishedAt": ended.at,
            "message": ended.how,
        }
    }


def object_path(spec: AgentSpec) -> str:
    return f"/v1/objects/core/Pod/{spec.namespace}/{spec.name}"


def status_path(spec: AgentSpec) -> str:
    return f"{object_path(spec)}/status"


def current_status(spec: AgentSpec, conditions: Conditions) -> Status:
    return pod_status(
        spec,
        ready=conditions.ready,
        phase=conditions.phase,
        restarts=conditions.restarts,
        ended=conditions.ended,
    )


async def run_reports(spec: AgentSpec, conditions: Conditions) -> None:
    """Report each change until cancelled; what is repeated is the latest state."""
    await _remember(spec, conditions)
    reported: Status | None = None
    while True:
        await conditions.wait_for(partial(_differs, spec, conditions, reported))
        for delay in delays(0.1, 5.0):
            reported = current_status(spec, conditions)
            if await report_once(spec, conditions):
                break
            await asyncio.sleep(delay)


class _ContainerStatus(msgspec.Struct, rename="camel"):
    restart_count: int = 0
    last_state: dict[str, Any] = {}


class _PodStatus(msgspec.Struct, rename="camel"):
    container_statuses: list[_ContainerStatus] = []


class _Pod(msgspec.Struct):
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)


async def _remember(spec: AgentSpec, conditions: Conditions) -> None:
    """Go on where an earlier agent of this Pod was, which somebody may have killed."""
    try:
        answer = await request_unix(spec.api.removeprefix("unix:"), "GET", object_path(spec))
        pod = msgspec.json.decode(answer.body, type=_Pod) if answer.ok else _Pod()
    except (OSError, ValueError):
        return
    for container in pod.status.container_statuses[:1]:
        conditions.restarts += container.restart_count
        terminated = container.last_state.get("terminated")
        if isinstance(terminated, dict) and conditions.ended is None:
            conditions.ended = Ended(
                str(terminated.get("message", "")),
                int(terminated.get("exitCode", 0)),
                str(terminated.get("finishedAt", "")),
            )


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
