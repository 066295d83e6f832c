"""Which patches apply to a proxy, and in which order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from clew.compile.config_dump import config_dump
from clew.model.xds import EXTENSION
from tests.compile.envoy_filter.patched import (
    FAULT,
    ROUTER,
    dump,
    first,
    http,
    http_filters,
    own,
    patch,
    published,
    with_filters,
)

proves = pytest.mark.proves


def test_without_a_patch_that_matches_every_byte_stays() -> None:
    nothing = patch("LISTENER", "REMOVE", listener={"name": "nobody"})
    assert published(nothing) == published()


@proves(
    "EnvoyConfigObjectMatch.context=ANY",
    "EnvoyConfigObjectMatch.context=SIDECAR_INBOUND",
    "EnvoyConfigObjectMatch.context=SIDECAR_OUTBOUND",
    "EnvoyConfigObjectMatch.context=GATEWAY",
)
@pytest.mark.parametrize(
    ("context", "inbound", "outbound", "gateway"),
    [
        ("ANY", True, True, True),
        ("SIDECAR_INBOUND", True, False, False),
        ("SIDECAR_OUTBOUND", False, True, False),
        ("GATEWAY", False, False, True),
    ],
)
def test_a_patch_applies_in_its_context(
    context: str, inbound: bool, outbound: bool, gateway: bool
) -> None:
    wanted = patch("HTTP_FILTER", "INSERT_FIRST", own(), listener=http(), context=context)
    sidecar, router = dump(wanted), dump(wanted, proxy=ROUTER)
    assert ("ours" in http_filters(sidecar, "virtualInbound")) is inbound
    assert ("ours" in http_filters(sidecar, "0.0.0.0_80")) is outbound
    assert ("ours" in http_filters(router, "0.0.0.0_80")) is gateway


@proves("EnvoyConfigObjectPatch.applyTo=EXTENSION_CONFIG")
def test_the_configuration_of_an_extension_is_served_by_name() -> None:
    found = published(patch("EXTENSION_CONFIG", "ADD", own()))
    assert found[EXTENSION].keys() == {"ours"}


@proves("EnvoyConfigObjectMatch.proxy")
@pytest.mark.parametrize(
    ("match", "applies"),
    [
        pytest.param({"proxyVersion": r"^1\.31.*"}, True, marks=proves("ProxyMatch.proxyVersion")),
        ({"proxyVersion": r"^1\.9.*"}, False),
        pytest.param(
            {"metadata": {"CLUSTER_ID": "Kubernetes"}}, True, marks=proves("ProxyMatch.metadata")
        ),
        ({"metadata": {"CLUSTER_ID": "other"}}, False),
    ],
)
def test_a_proxy_is_matched_by_version_and_metadata(match: dict[str, Any], applies: bool) -> None:
    found = dump(patch("HTTP_FILTER", "INSERT_FIRST", own(), listener=http(), proxy=match))
    assert ("ours" in http_filters(found)) is applies


@proves("EnvoyFilterSpec.priority")
def test_filters_apply_by_priority_then_age_after_those_of_the_root_namespace() -> None:
    found = with_filters(
        {"configPatches": [first("late")], "priority": 5},
        {"configPatches": [first("old")]},
        {"configPatches": [first("young")]},
        {"configPatches": [first("root")], "priority": 9, "namespace": "istio-system"},
        {"configPatches": [first("early")], "priority": -5},
    )
    names = http_filters(config_dump(found))
    assert names[:5] == ["late", "young", "old", "early", "root"]


@proves("EnvoyFilterSpec.workloadSelector")
def test_only_workloads_that_are_selected_are_patched() -> None:
    one = {"workloadSelector": {"labels": {"app": "app"}}, "configPatches": [first("mine")]}
    two = {"workloadSelector": {"labels": {"app": "other"}}, "configPatches": [first("other")]}
    assert http_filters(config_dump(with_filters(one, two)))[:2] == ["mine", FAULT]


@proves(
    "EnvoyFilterSpec.targetRefs",
    "PolicyTargetReference.group",
    "PolicyTargetReference.kind",
    "PolicyTargetReference.name",
)
def test_a_filter_may_be_attached_to_a_gateway_of_the_gateway_api() -> None:
    def attached(
        name: str, kind: str = "Gateway", group: str = "gateway.networking.k8s.io"
    ) -> dict[str, Any]:
        target = {"group": group, "kind": kind, "name": name}
        return {"targetRefs": [target], "configPatches": [first(name)]}

    labels = (("app", "app"), ("gateway.networking.k8s.io/gateway-name", "mine"))
    router = replace(ROUTER, labels=labels)
    found = with_filters(attached("mine"), attached("other"), proxy=router)
    assert http_filters(config_dump(found))[:2] == ["mine", FAULT]
    for another in (attached("mine", kind="Service"), attached("mine", group="example.com")):
        assert "mine" not in http_filters(config_dump(with_filters(another, proxy=router)))
    elsewhere = attached("mine") | {"namespace": "istio-system"}
    assert "mine" not in http_filters(config_dump(with_filters(elsewhere, proxy=router)))
    assert with_filters(attached("mine")) == published()
