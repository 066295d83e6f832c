"""What the status of an EnvoyFilter says of patches that change nothing."""

from __future__ import annotations

from clew.compile.findings import scope_findings, scope_findings_of_all
from clew.compile.memo import Memo
from clew.compile.proxy import applied_patches
from clew.model.proxy import Proxy, ProxyType
from clew.snapshot.scope import ProxyScope
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from tests.compile.meshes import SERVICE
from tests.manifests import resources_of


def scope(patches: str, proxy_type: ProxyType = ProxyType.SIDECAR) -> ProxyScope:
    text = f"""
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: patches, namespace: default}}
spec: {{configPatches: [{patches}]}}
"""
    proxy = Proxy(type=proxy_type, name="app", namespace="default", ip="10.0.0.9")
    return build_scope(build_snapshot(resources_of(f"{SERVICE}\n---\n{text}")), proxy)


def said(found: ProxyScope) -> list[tuple[str, str]]:
    memo = Memo()
    both = (*scope_findings(found, memo), *scope_findings_of_all(found, memo))
    return [(each.place.field, each.problem) for each in both]


REMOVED = "{applyTo: CLUSTER, match: {cluster: {service: %s}}, patch: {operation: REMOVE}}"


def test_it_is_counted_in_how_many_places_a_patch_applied() -> None:
    found = scope(REMOVED % "reviews.default.svc.cluster.local")
    assert list(applied_patches(found, Memo()).values()) == [4]
    assert said(found) == []


def test_a_patch_that_matches_nothing_is_reported() -> None:
    found = scope(REMOVED % "reviews.default.svc.cluster.local" + "," + REMOVED % "nobody")
    assert said(found) == [("spec.configPatches[1]", "this patch matches nothing")]


def test_a_patch_for_another_kind_of_proxy_matches_nothing_here() -> None:
    found = scope("{applyTo: CLUSTER, match: {context: GATEWAY}, patch: {operation: REMOVE}}")
    assert said(found) == [("spec.configPatches[0]", "this patch matches nothing")]


def test_a_filter_that_envoy_does_not_have_is_left_out_and_reported() -> None:
    wanted = (
        "{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: golang, "
        "typed_config: {'@type': "
        "type.googleapis.com/envoy.extensions.filters.http.golang.v3alpha.Config}}}}"
    )
    problem = (
        "this patch is left out: this Envoy does not have "
        "envoy.extensions.filters.http.golang.v3alpha.Config"
    )
    assert said(scope(wanted)) == [("spec.configPatches[0]", problem)]


def test_a_patch_to_the_bootstrap_is_told_to_wait_for_the_proxys_next_start() -> None:
    wanted = "{applyTo: BOOTSTRAP, patch: {operation: MERGE, value: {header_prefix: x-our}}}"
    notice = "a proxy takes this patch when it starts"
    assert said(scope(wanted)) == [("spec.configPatches[0]", notice)]
