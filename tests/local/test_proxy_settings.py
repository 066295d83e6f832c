"""What proxies of this machine start with."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from clew.agent.bootstrap import bootstrap
from clew.agent.node import node_metadata
from clew.agent.spec import AgentSpec, AppSpec, decode, encode
from clew.config.parse import parse_mesh_config
from clew.local.programs import CannotRun
from clew.local.proxy_settings import with_proxy_settings
from clew.model.mesh_proxy_config import ANNOTATION
from tests.agent.specs import SPEC
from tests.manifests import resources_of

WORKLOAD = msgspec.structs.replace(SPEC, namespace="default", labels={"app": "reviews"})


def settled(
    text: str = "", annotation: str = "", mesh: str = "", spec: AgentSpec = WORKLOAD
) -> AgentSpec:
    annotations: Mapping[str, str] = {ANNOTATION: annotation} if annotation else {}
    return with_proxy_settings(
        spec, annotations, resources_of(text), parse_mesh_config(mesh or "{}")[0]
    )


def config(name: str, spec: str, namespace: str = "default", age: int = 1) -> str:
    return (
        "---\napiVersion: networking.istio.io/v1beta1\nkind: ProxyConfig\n"
        f"metadata: {{name: {name}, namespace: {namespace}, "
        f"creationTimestamp: '2024-01-0{age}T00:00:00Z'}}\nspec: {spec}\n"
    )


@pytest.mark.proves(
    "ProxyConfigSpec.concurrency",
    "ProxyConfigSpec.environmentVariables",
    "ProxyConfigSpec.selector",
    "MeshProxyConfig.concurrency",
    "MeshProxyConfig.proxyMetadata",
)
def test_the_more_special_of_the_settings_counts_and_variables_are_joined() -> None:
    mesh = "defaultConfig: {concurrency: 2, proxyMetadata: {A: mesh, B: mesh}}"
    root = config("root", "{concurrency: 3, environmentVariables: {B: root}}", "istio-system")
    namespace = config("ns", "{concurrency: 4, environmentVariables: {C: namespace}}")
    chosen = config(
        "one", "{selector: {matchLabels: {app: reviews}}, environmentVariables: {A: workload}}"
    )
    other = config("two", "{selector: {matchLabels: {app: ratings}}, concurrency: 9}")
    elsewhere = config("three", "{concurrency: 8}", "elsewhere")
    assert settled().concurrency == 1
    assert settled(mesh=mesh).concurrency == 2
    assert settled(root, mesh=mesh).concurrency == 3
    spec = settled(root + namespace + chosen + other + elsewhere, mesh=mesh)
    assert spec.concurrency == 4
    assert spec.settings.proxy_metadata == {"A": "workload", "B": "root", "C": "namespace"}


def test_the_annotation_beats_the_namespace_and_a_selector_beats_the_annotation() -> None:
    namespace = config("ns", "{concurrency: 4}")
    chosen = config("one", "{selector: {matchLabels: {app: reviews}}, concurrency: 5}")
    assert settled(namespace, annotation="concurrency: 6").concurrency == 6
    assert settled(namespace + chosen, annotation="concurrency: 6").concurrency == 5


def test_of_several_for_the_same_proxies_the_oldest_counts() -> None:
    younger, older = config("a", "{concurrency: 2}", age=2), config("b", "{concurrency: 3}", age=1)
    assert settled(younger + older).concurrency == 3


def test_the_control_plane_learns_of_the_annotation_and_the_agent_of_everything() -> None:
    spec = settled(
        annotation="{drainDuration: 10s, gatewayTopology: {numTrustedProxies: 1}}",
        mesh="defaultConfig: {terminationDrainDuration: 1500ms}",
    )
    said = {"drainDuration": "10s", "gatewayTopology": {"numTrustedProxies": 1}}
    assert node_metadata(spec)["PROXY_CONFIG"] == said
    assert decode(encode(spec)) == spec


@pytest.mark.parametrize(
    "wrong", ["concurrency: many", "concurrency: -1", "[1]", "{a", "drainDuration: soon"]
)
def test_a_workload_whose_annotation_is_wrong_does_not_run(wrong: str) -> None:
    with pytest.raises(CannotRun, match=r"proxy\.istio\.io/config"):
        settled(annotation=wrong)


def patch(value: str, match: str = "", selector: str = "") -> str:
    return (
        "---\napiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\n"
        f"metadata: {{name: f{len(value)}, namespace: default}}\nspec:\n{selector}"
        f"  configPatches:\n  - applyTo: BOOTSTRAP\n{match}"
        f"    patch: {{operation: MERGE, value: {value}}}\n"
    )


@pytest.mark.proves("EnvoyConfigObjectPatch.applyTo=BOOTSTRAP")
def test_patches_of_the_bootstrap_go_to_the_proxies_that_they_are_for() -> None:
    ours = patch("{header_prefix: x-our}")
    gateways = patch("{header_prefix: x-g}", "    match: {context: GATEWAY}\n")
    others = patch("{header_prefix: x}", "", "  workloadSelector: {labels: {app: ratings}}\n")
    broken = patch("{header_prefix: 5}")
    spec = settled(ours + gateways + others + broken)
    assert spec.bootstrap_patches == ({"header_prefix": "x-our"},)
    assert "header_prefix" not in bootstrap(spec)


@pytest.mark.proves("MeshConfig.enablePrometheusMerge")
def test_the_programs_metrics_are_where_its_annotations_say() -> None:
    app = AppSpec(command=("app",))
    spec = msgspec.structs.replace(WORKLOAD, app=app)

    def metrics(mesh: str = "{}", **annotations: str) -> tuple[int, str] | None:
        given = {f"prometheus.io/{name}": value for name, value in annotations.items()}
        given |= {"prometheus.istio.io/merge-metrics": given.pop("prometheus.io/merge", "true")}
        found = with_proxy_settings(spec, given, (), parse_mesh_config(mesh)[0]).app
        assert found is not None
        return (found.metrics_port, found.metrics_path) if found.metrics_port else None

    assert metrics() is None
    assert metrics(scrape="false", port="9080") is None
    assert metrics(scrape="true", port="9080", path="stats") == (9080, "/stats")
    assert metrics(scrape="true") == (80, "/metrics")
    assert metrics(scrape="true", merge="false") is None
    assert metrics("enablePrometheusMerge: false", scrape="true") is None


@pytest.mark.proves("MeshProxyConfig.statusPort")
def test_the_status_port_is_the_settings_unless_a_free_one_was_chosen() -> None:
    mesh = "defaultConfig: {statusPort: 16020}"
    assert settled(mesh=mesh).status_port == 16020
    elsewhere = msgspec.structs.replace(WORKLOAD, status_port=31000)
    assert settled(mesh=mesh, spec=elsewhere).status_port == 31000
