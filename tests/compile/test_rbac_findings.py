"""What is said of policies that do something else than they seem to."""

from __future__ import annotations

from clew.compile.findings import scope_findings
from clew.compile.memo import Memo
from clew.model.proxy import Proxy, ProxyType
from clew.snapshot.concern import concerned
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from tests.manifests import resources_of
from tests.snapshot.world import service

WEB = service("web", ports="{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 90}")
SIDECAR = Proxy(
    type=ProxyType.SIDECAR,
    name="web-0",
    namespace="default",
    ip="10.0.0.9",
    labels=(("app", "web"),),
)


def policy(spec: str) -> str:
    return f"""
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: web, namespace: default}}
spec: {{{spec}}}
"""


def findings(*texts: str) -> list[tuple[str, str]]:
    scope = build_scope(build_snapshot(resources_of("\n---\n".join((WEB, *texts)))), SIDECAR)
    return [(each.place.field, each.problem) for each in scope_findings(scope, Memo())]


def test_a_policy_that_nobody_answers_for_says_so() -> None:
    custom = policy("action: CUSTOM, provider: {name: gone}, rules: [{}]")
    [(field, problem)] = findings(custom)
    assert field == "spec.provider.name"
    assert 'no extension provider "gone"' in problem
    assert "denied" in problem


def test_a_rule_that_asks_for_http_says_what_it_does_on_tcp() -> None:
    denied = policy("action: DENY, rules: [{to: [{operation: {methods: [PUT]}}]}]")
    [(field, problem)] = findings(denied)
    assert field == "spec.rules[0]"
    assert problem.startswith("port 90 of web-0 is TCP")
    assert "denies whatever else" in problem
    [(_, problem)] = findings(denied.replace("DENY", "ALLOW"))
    assert "allows nothing" in problem


def test_a_rule_for_other_ports_is_none_of_that() -> None:
    for operation in ("{methods: [PUT], ports: ['8080']}", "{methods: [PUT], notPorts: ['90']}"):
        assert findings(policy(f"rules: [{{to: [{{operation: {operation}}}]}}]")) == []
    assert findings(policy("rules: [{to: [{operation: {ports: ['90']}}]}]")) == []


def test_what_is_attached_to_something_else_concerns_no_sidecar() -> None:
    target = "{group: '', kind: Service, name: web}"
    attached = policy(f"targetRefs: [{target}], rules: [{{}}]")
    kinds = []
    for text in (policy("rules: [{}]"), attached):
        snapshot = build_snapshot(resources_of("\n---\n".join((WEB, text))))
        keys = concerned(snapshot, build_scope(snapshot, SIDECAR))
        kinds.append({key.kind for key in keys})
    assert "AuthorizationPolicy" in kinds[0]
    assert "AuthorizationPolicy" not in kinds[1]
