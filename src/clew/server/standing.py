"""Whether an object is in force: a by-product of what was published and what was acknowledged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from clew.api.messages import Finding, ObjectState, ObjectStatus, finding, key_message
from clew.config.parse import unsupported_fields
from clew.model.base import ResourceKey
from clew.model.diagnostic import Diagnostic, Severity
from clew.model.kinds import GATEWAY_API, kind_of
from clew.server.acknowledgements import Answer, answer
from clew.server.holds import Hold
from clew.server.proxies import ConnectedProxy
from clew.server.publisher import Publisher
from clew.stores.store import Stored

# What of the rest is configuration too, and says in its status whether it is in force.
_OTHERS = frozenset({"Ingress"})
_NO_EFFECT = "clew accepts and keeps objects of this kind; they change nothing"


def is_acknowledged(key: ResourceKey) -> bool:
    """Whether proxies are told of objects of this kind, so that one can wait for them."""
    return has_standing(key) or key.kind in ("Service", "Secret")


def has_standing(key: ResourceKey) -> bool:
    """Whether objects of this kind say in their status if they are in force."""
    return key.group.endswith("istio.io") or key.group == GATEWAY_API or key.kind in _OTHERS


def standing(
    stored: Stored,
    publisher: Publisher,
    connections: Iterable[ConnectedProxy],
    hold: Hold | None,
    findings: Sequence[Diagnostic],
    *,
    searching: bool = False,
    suspected: bool = False,
) -> ObjectStatus:
    """Return what is known of one object now.

    ``searching``: which object a refusal is about is still being found out; ``suspected``: it
    may be this one.
    """
    key, generation = stored.key, stored.resource.metadata.generation
    published = publisher.revision >= stored.revision
    observed = generation if published else max(0, generation - 1)
    kind = kind_of(key.group, key.kind)
    if kind is None or not kind.effective:
        return _without_effect(stored, observed, findings)
    said = {
        connection.proxy.node_id: _answer(stored, publisher, connection)
        for connection in connections
        if key in publisher.concerns(connection.subscriber)
    }
    has = [node for node, each in said.items() if each is Answer.ACKNOWLEDGED]
    state = _state(said.values(), published)
    if suspected or (state == "rejected" and searching):
        state = "pending"
    found_out = ObjectStatus(
        key=key_message(key),
        state="held" if hold is not None else state,
        generation=generation,
        observed_generation=observed,
        acknowledged=0 if hold is not None else len(has),
        concerned=len(said),
        waiting=tuple(sorted(said.keys() - has)),
        reason=hold.reason if hold is not None else "",
        held_at=hold.good_generation if hold is not None else None,
        findings=tuple(map(finding, (*unsupported_fields(stored.resource), *findings))),
    )
    return msgspec.structs.replace(found_out, message=_explanation(found_out))


def _without_effect(stored: Stored, observed: int, findings: Iterable[Diagnostic]) -> ObjectStatus:
    return ObjectStatus(
        key=key_message(stored.key),
        state="not supported",
        generation=stored.resource.metadata.generation,
        observed_generation=observed,
        reason=_NO_EFFECT,
        message=_NO_EFFECT,
        findings=tuple(map(finding, findings)),
    )


def _answer(stored: Stored, publisher: Publisher, connection: ConnectedProxy) -> Answer:
    subscriber = connection.subscriber
    if stored.revision <= subscriber.since and connection.synced == subscriber.since:
        return Answer.ACKNOWLEDGED
    effect = publisher.effect(subscriber, stored.revision)
    return answer(connection, effect, publisher.published_to(subscriber))


def _state(answers: Iterable[Answer], published: bool) -> ObjectState:
    found = set(answers)
    if not published or Answer.PENDING in found:
        return "pending"
    if Answer.REFUSED in found:
        return "rejected"
    return "in force" if found else "no proxy"


_REASONS: dict[ObjectState, str] = {
    "in force": "InForce",
    "pending": "Pending",
    "rejected": "Rejected",
    "held": "Held",
    "no proxy": "NoProxy",
    "not supported": "NotSupported",
}


def as_status(standing: ObjectStatus) -> dict[str, Any]:
    """Return it as Istio writes the status of its kinds.

    Source: istio ``IstioStatus``; ``proxies`` and ``heldAtGeneration`` are clew's own.
    """
    observed = standing.observed_generation
    in_force = standing.in_force
    accepted = {
        "type": "Accepted",
        "status": "True",
        "reason": "Accepted",
        "observedGeneration": observed,
    }
    reconciled = {
        "type": "Reconciled",
        "status": "True" if in_force else "Unknown" if not standing.settled else "False",
        "reason": _REASONS[standing.state],
        "message": standing.message,
        "observedGeneration": observed,
    }
    status: dict[str, Any] = {
        "observedGeneration": observed,
        "conditions": [accepted, reconciled],
        "proxies": {"acknowledged": standing.acknowledged, "concerned": standing.concerned},
    }
    if standing.held_at is not None:
        status["heldAtGeneration"] = standing.held_at
    if standing.findings:
        status["validationMessages"] = [
            {
                "type": {"code": each.code, "name": _named(each)},
                "level": _LEVELS.get(each.severity, "INFO"),
            }
            for each in standing.findings
        ]
    return status


def _named(found: Finding) -> str:
    return f"{found.field}: {found.problem}" if found.field else found.problem


_LEVELS = {Severity.ERROR.value: "ERROR", Severity.WARNING.value: "WARNING"}


# What is for the start of proxies: those that run keep what they started with.
_AT_START = frozenset({"ProxyConfig"})


def _explanation(standing: ObjectStatus) -> str:
    """Return one sentence for people."""
    generation = standing.generation
    counted = f"{standing.acknowledged} of {standing.concerned} proxies"
    match standing.state:
        case "in force" if standing.key.kind in _AT_START:
            kept = "those that ran before keep their settings until they start again"
            return f"{counted} take generation {generation} when they start; {kept}"
        case "in force":
            return f"{counted} acknowledged generation {generation}"
        case "pending":
            return f"{counted} acknowledged generation {generation}, the others have yet to"
        case "no proxy":
            return "it concerns none of the proxies that are connected"
        case "held" if standing.held_at:
            return f"held at generation {standing.held_at}: {standing.reason}"
        case "held":
            return f"held back, no generation of it is in force: {standing.reason}"
        case "rejected":
            return f"{len(standing.waiting)} of {standing.concerned} proxies refuse it"
    return standing.reason


def with_status(
    manifest: dict[str, Any], own: Mapping[str, Any], status: dict[str, Any]
) -> dict[str, Any]:
    """Return the manifest with this status, and ``own``, the one that the kind itself defines.

    Conditions of other types stay. The kind's own word for "accepted" counts.
    """
    stored = manifest.get("status")
    before = {**(stored if isinstance(stored, dict) else {}), **own}
    defined = {condition["type"] for condition in own.get("conditions") or ()}
    added = [each for each in status["conditions"] if each["type"] not in defined]
    ours = {each["type"] for each in added}
    kept = [each for each in before.get("conditions") or () if each.get("type") not in ours]
    return {**manifest, "status": {**before, **status, "conditions": [*kept, *added]}}
