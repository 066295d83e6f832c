"""The status of each object of the Gateway API, as values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from clew.model.base import Resource, ResourceKey
from clew.model.gateway_api.gateway import FrontendValidationMode, KubernetesGateway
from clew.model.gateway_api.listener_set import ListenerSet
from clew.model.gateway_api.references import GATEWAY_GROUP, ParentReference
from clew.model.status import Statuses
from clew.snapshot.gateway_api.addresses import programmed
from clew.snapshot.gateway_api.attachment import Attachment, verdicts
from clew.snapshot.gateway_api.classes import (
    GATEWAY_CONTROLLER,
    MESH_CONTROLLER,
    our_classes,
)
from clew.snapshot.gateway_api.conditions import (
    RESOLVED,
    Condition,
    Problem,
    accepted,
    condition_values,
)
from clew.snapshot.gateway_api.conversion import GatewayApi, JudgedRoute
from clew.snapshot.gateway_api.gateways import BoundGateway, JoinedSet
from clew.snapshot.gateway_api.listeners import Listening
from clew.snapshot.gateway_api.policies import JudgedPolicy
from clew.snapshot.objects import Objects

Attached = dict[tuple[str, str, str, str], int]
# Source: Gateway API ``GatewayConditionInsecureFrontendValidationMode``.
_LENIENT = "InsecureFrontendValidationMode"


def statuses_of(api: GatewayApi, objects: Objects) -> Statuses:
    """Return the status of each object that is ours, with what other controllers wrote there."""
    attached = _attached(api.routes)
    found: dict[ResourceKey, dict[str, Any]] = {}
    for declared in our_classes(objects):
        handled = accepted("Handled by Istio controller")
        found[declared.key] = {"conditions": _conditions(declared, [handled])}
    for bound in api.bound:
        found[bound.gateway.key] = _gateway(bound, attached)
        for joined in bound.sets:
            found[joined.listener_set.key] = _listener_set(bound, joined, attached)
    for route in api.routes:
        if route.attachments or _parents_before(route.route):
            found[route.route.key] = {"parents": list(_parents(route))}
    gateways = _gateways_by_host(api.routes)
    for policy in api.policies.judged:
        found[policy.policy.key] = {"ancestors": list(_ancestors(policy, gateways))}
    return found


def _conditions(resource: Resource, conditions: Iterable[Condition]) -> list[dict[str, Any]]:
    now = list(conditions)
    before = resource.status.get("conditions") if isinstance(resource.status, dict) else None
    found = condition_values(now, resource.metadata.generation, before)
    stays = any(each.type == _LENIENT for each in now)
    return [each for each in found if stays or each["type"] != _LENIENT]


# Gateways and ListenerSets


def _attached(routes: Iterable[JudgedRoute]) -> Attached:
    """Return how many routes each listener has taken."""
    counts: Attached = {}
    for route in routes:
        taken = {_place(a.listening) for a in route.attachments if a.listening and not a.problem}
        for place in taken:
            counts[place] = counts.get(place, 0) + 1
    return counts


def _place(listening: Listening) -> tuple[str, str, str, str]:
    meta = listening.owner.metadata
    return (listening.owner.kind, meta.namespace, meta.name, listening.listener.name)


def _gateway(bound: BoundGateway, attached: Attached) -> dict[str, Any]:
    gateway = bound.gateway
    if bound.kind.remote:
        conditions = [
            accepted("Resource accepted"),
            Condition(
                "Programmed",
                True,
                "Programmed",
                "This Gateway is remote; Istio will not program it",
            ),
        ]
        addresses = [{"type": a.type, "value": a.value} for a in gateway.spec.addresses]
        return {"addresses": addresses, "conditions": _conditions(gateway, conditions)}
    conditions = [
        _accepted(bound, "Gateway", bound.listeners),
        programmed(bound.services, bound.assigned),
        _client_certificate(bound),
        *_lenient(gateway),
    ]
    status: dict[str, Any] = {"conditions": _conditions(gateway, conditions)}
    if bound.assigned.addresses:
        status["addresses"] = list(bound.assigned.addresses)
    if bound.listeners:
        status["listeners"] = [_listener(each, attached) for each in bound.listeners]
    joined = sum(_counts(each) for each in bound.sets)
    if joined:
        status["attachedListenerSets"] = joined
    return status


def _accepted(bound: BoundGateway, kind: str, listeners: tuple[Listening, ...]) -> Condition:
    if bound.services.problem is not None:
        return bound.services.problem.refuses("Accepted")
    valid = [each.valid for each in listeners]
    if listeners and not any(valid):
        text = f"None of the {kind}'s listeners are valid"
        return Condition("Accepted", False, "ListenersNotValid", text)
    if not all(valid):
        text = f"One or more of the {kind}'s listeners are invalid"
        return Condition("Accepted", True, "ListenersNotValid", text)
    return accepted("Resource accepted")


def _lenient(gateway: KubernetesGateway) -> Iterator[Condition]:
    """Say that clients without a valid certificate are let in; else there is no such condition."""
    frontend = gateway.spec.tls.frontend if gateway.spec.tls else None
    configs = (frontend.default, *(p.tls for p in frontend.per_port)) if frontend else ()
    modes = (config.validation.mode for config in configs if config.validation)
    if FrontendValidationMode.ALLOW_INSECURE_FALLBACK in modes:
        text = "Clients without a valid certificate are let in: AllowInsecureFallback"
        yield Condition(_LENIENT, True, "ConfigurationChanged", text)


def _client_certificate(bound: BoundGateway) -> Condition:
    """Return whether what the Gateway presents to its backends can be had."""
    found = bound.client_certificate
    return found.refuses("ResolvedRefs") if isinstance(found, Problem) else RESOLVED


def _listener(listening: Listening, attached: Attached) -> dict[str, Any]:
    owner = listening.owner
    before = owner.status.get("listeners") if isinstance(owner.status, dict) else None
    name = listening.listener.name
    known: dict[str, Any] = next((each for each in before or () if each.get("name") == name), {})
    return {
        "name": name,
        "attachedRoutes": attached.get(_place(listening), 0),
        "supportedKinds": [{"group": k.group, "kind": k.kind} for k in listening.kinds],
        "conditions": condition_values(
            listening.conditions, owner.metadata.generation, known.get("conditions")
        ),
    }


def _counts(joined: JoinedSet) -> bool:
    return joined.problem is None and any(each.valid for each in joined.listeners)


def _listener_set(bound: BoundGateway, joined: JoinedSet, attached: Attached) -> dict[str, Any]:
    listener_set: ListenerSet = joined.listener_set
    if (problem := joined.problem) is not None:
        refused = problem.refuses("Programmed")
        if problem.reason != "NotAllowed":
            refused = programmed(bound.services, bound.assigned)
        return {"conditions": _conditions(listener_set, [problem.refuses("Accepted"), refused])}
    told = _accepted(bound, "ListenerSet", joined.listeners)
    served = _programmed_set(bound, joined)
    if not told.holds:
        served = Condition("Programmed", False, told.reason, told.message)
    elif told.reason != "Accepted":
        told = accepted("Resource accepted")
    return {
        "conditions": _conditions(listener_set, [told, served]),
        "listeners": [_listener(each, attached) for each in joined.listeners],
    }


def _programmed_set(bound: BoundGateway, joined: JoinedSet) -> Condition:
    """As ``programmed``, of the set's own ports only."""
    ports = {str(each.listener.port) for each in joined.listeners if not each.conflict}
    assigned = bound.assigned
    own = type(assigned)(
        reached=tuple(r for r in assigned.reached if r.rpartition(":")[2] in ports),
        warnings=tuple(
            w for w in assigned.warnings if not w.startswith("port ") or w.split()[1] in ports
        ),
    )
    return programmed(bound.services, own)


# Routes


def _parents_before(resource: Resource) -> list[dict[str, Any]]:
    parents = resource.status.get("parents") if isinstance(resource.status, dict) else None
    return [each for each in parents or () if isinstance(each, dict)]


def _parents(route: JudgedRoute) -> Iterator[dict[str, Any]]:
    """Yield an entry for each parent; those of other controllers stay where they are.

    Source: istio ``createRouteStatus``.
    """
    before = _parents_before(route.route)
    namespace, generation = route.route.metadata.namespace, route.route.metadata.generation
    meshes = {each.reference for each in route.attachments if each.is_mesh}
    own: dict[tuple[object, ...], dict[str, Any]] = {}
    for reference, taken, problem in verdicts(route.attachments):
        refers = route.in_mesh if reference in meshes else route.at_gateways
        own[_identity(_values(reference), namespace)] = {
            "parentRef": _values(reference),
            "controllerName": GATEWAY_CONTROLLER,
            "conditions": [_route_accepted(taken, problem), _resolved(refers)],
        }
    for entry in before:
        if entry.get("controllerName") != GATEWAY_CONTROLLER:
            yield entry
            continue
        identity = _identity(entry.get("parentRef") or {}, namespace)
        if (ours := own.pop(identity, None)) is not None:
            found = condition_values(ours["conditions"], generation, entry.get("conditions"))
            yield {**ours, "conditions": found}
    for ours in own.values():
        yield {**ours, "conditions": condition_values(ours["conditions"], generation)}


def _route_accepted(taken: int, problem: Problem | None) -> Condition:
    if problem is not None:
        return problem.refuses("Accepted")
    text = "Route was valid" if taken == 1 else f"Route was valid, bound to {taken} parents"
    return accepted(text)


def _resolved(problem: Problem | None) -> Condition:
    return RESOLVED if problem is None else problem.refuses("ResolvedRefs")


def _values(reference: ParentReference) -> dict[str, Any]:
    values: dict[str, Any] = {
        "group": reference.group,
        "kind": reference.kind,
        "name": reference.name,
        "namespace": reference.namespace,
        "sectionName": reference.section_name,
        "port": reference.port,
    }
    return {name: value for name, value in values.items() if value is not None}


def _identity(reference: dict[str, Any], namespace: str) -> tuple[object, ...]:
    """What makes a parent reference the same, however it is spelt."""
    return (
        reference.get("group", GATEWAY_GROUP),
        reference.get("kind", "Gateway"),
        reference.get("namespace") or namespace,
        reference.get("name"),
        reference.get("sectionName") or "",
        reference.get("port") or 0,
    )


# Policies

GatewaysByHost = dict[str, list[tuple[str, str]]]


def _gateways_by_host(routes: Iterable[JudgedRoute]) -> GatewaysByHost:
    """Return which Gateways, by namespace and name, send requests to a host."""
    found: GatewaysByHost = {}
    for route in routes:
        gateways = [g for a in route.attachments if (g := _gateway_of(a)) is not None]
        for host in route.hosts if gateways else ():
            known = found.setdefault(host, [])
            known += [gateway for gateway in gateways if gateway not in known]
    return found


def _gateway_of(attachment: Attachment) -> tuple[str, str] | None:
    if attachment.listening is None or attachment.problem is not None:
        return None
    owner = attachment.listening.owner
    meta = owner.metadata
    if not isinstance(owner, ListenerSet):
        return (meta.namespace, meta.name)
    parent = owner.spec.parent_ref
    return (parent.namespace or meta.namespace, parent.name)


def _ancestors(judged: JudgedPolicy, gateways: GatewaysByHost) -> Iterator[dict[str, Any]]:
    """Yield an entry for each Gateway that the policy matters to, or else for each target."""
    policy = judged.policy
    before = policy.status.get("ancestors") if isinstance(policy.status, dict) else None
    entries = list(before or ())
    generation = policy.metadata.generation
    for reference in policy.spec.target_refs:
        conditions = list(judged.conditions)
        if reference in judged.conflicting:
            text = "Configuration is conflicting with another policy"
            conditions[0] = Condition("Accepted", False, "Conflicted", text)
        hosts = judged.hosts.get(reference, ())
        found = sorted({gateway for host in hosts for gateway in gateways.get(host, ())})
        ancestors = [
            (_gateway_reference(namespace, name), GATEWAY_CONTROLLER) for namespace, name in found
        ]
        target = {"group": reference.group, "kind": reference.kind, "name": reference.name}
        for ancestor, controller in ancestors or [(target, MESH_CONTROLLER)]:
            known: dict[str, Any] = next(
                (e for e in entries if e.get("ancestorRef") == ancestor), {}
            )
            yield {
                "ancestorRef": ancestor,
                "controllerName": controller,
                "conditions": condition_values(conditions, generation, known.get("conditions")),
            }


def _gateway_reference(namespace: str, name: str) -> dict[str, Any]:
    return {"group": GATEWAY_GROUP, "kind": "Gateway", "namespace": namespace, "name": name}
