"""Endpoints that are left alone for a while lead to the very setting that is in force for them."""

from __future__ import annotations

import pytest

from clew.api.views import Trouble
from clew.model.metrics import Own, Peer
from clew.server.ejections import ejections
from clew.server.traffic_reports import Reporter
from tests.compile.meshes import mesh_config
from tests.snapshot.world import istio, mesh, proxy, service

HOST = "web.shop.svc.cluster.local"
MESH = mesh_config("defaultTrafficPolicy: {outlierDetection: {interval: 9s}}")


def rule(name: str, spec: str, namespace: str = "shop", age: int = 0) -> str:
    return istio("DestinationRule", name, f"{{host: {HOST}, {spec}}}", namespace, age)


def detecting(interval: str, ports: str = "") -> str:
    more = f", portLevelSettings: [{ports}]" if ports else ""
    return f"trafficPolicy: {{outlierDetection: {{interval: {interval}}}{more}}}"


def port(number: int, interval: str = "") -> str:
    """Settings of a port, without outlierDetection if there is no interval."""
    said = f"outlierDetection: {{interval: {interval}}}" if interval else "loadBalancer: {}"
    return f"{{port: {{number: {number}}}, {said}}}"


def reporter(workload: str, ejected: dict[str, int], namespace: str = "default") -> Reporter:
    own = Own(Peer(workload, namespace, workload, "v1", "", workload, "v1"), "spiffe://x")
    return Reporter(proxy(namespace, app=workload), own, 0.0, ejected=ejected)


def found(*texts: str, cluster: str = f"outbound|80||{HOST}", of: str = "default") -> Trouble:
    world = mesh(service("web", "shop"), *texts)
    (trouble,) = ejections([reporter("client", {cluster: 1}, of)], world)
    return trouble


def place(trouble: Trouble) -> tuple[str, str]:
    return (trouble.object.name if trouble.object is not None else "", trouble.field)


TOP = rule("r", detecting("1s", f"{port(81, '2s')}, {port(80, '3s')}"))
SUBSETS = f"""subsets: [
  {{name: other, {detecting("1s")}}},
  {{name: v1, {detecting("1s", f"{port(81, '1s')}, {port(82)}, {port(83, '1s')}")}}},
  {{name: v2}}]"""
BOTH = rule("r", f"{detecting('1s', port(84, '1s'))}, {SUBSETS}")


@pytest.mark.parametrize(
    ("text", "number", "subset", "field"),
    [
        (TOP, 79, "", "spec.trafficPolicy.outlierDetection"),
        (TOP, 80, "", "spec.trafficPolicy.portLevelSettings[1].outlierDetection"),
        (TOP, 81, "", "spec.trafficPolicy.portLevelSettings[0].outlierDetection"),
        # All say the same here, so that only the order decides.
        (BOTH, 80, "", "spec.trafficPolicy.outlierDetection"),
        (BOTH, 80, "v1", "spec.subsets[1].trafficPolicy.outlierDetection"),
        (BOTH, 83, "v1", "spec.subsets[1].trafficPolicy.portLevelSettings[2].outlierDetection"),
        (BOTH, 84, "v1", "spec.subsets[1].trafficPolicy.outlierDetection"),
        (BOTH, 80, "v2", "spec.trafficPolicy.outlierDetection"),
        (BOTH, 84, "v2", "spec.trafficPolicy.portLevelSettings[0].outlierDetection"),
    ],
)
def test_the_setting_of_the_port_and_subset_is_named(
    text: str, number: int, subset: str, field: str
) -> None:
    trouble = found(text, cluster=f"outbound|{number}|{subset}|{HOST}")
    assert place(trouble) == ("r", field)
    assert trouble.service == f"shop/{HOST}"


def test_where_a_port_says_nothing_what_stands_above_it_is_not_to_blame() -> None:
    cluster = f"outbound|82|v1|{HOST}"
    assert place(found(BOTH, cluster=cluster)) == ("", "")
    trouble = found(BOTH, MESH, cluster=cluster)
    assert place(trouble) == ("", "")
    assert trouble.hint.startswith("MeshConfig's defaultTrafficPolicy says so.")


def test_of_rules_that_are_one_together_the_one_is_named_in_which_it_is_written() -> None:
    old = rule("old", "subsets: [{name: v0}]")
    new = rule("new", f"{detecting('1s')}, subsets: [{{name: v1, {detecting('1s')}}}]", age=1)
    assert place(found(old, new)) == ("new", "spec.trafficPolicy.outlierDetection")
    field = "spec.subsets[0].trafficPolicy.outlierDetection"
    assert place(found(old, new, cluster=f"outbound|80|v1|{HOST}")) == ("new", field)


def test_callers_with_another_rule_have_another_trouble() -> None:
    texts = (rule("of-owner", detecting("1s")), rule("of-client", detecting("1s"), "client"))
    world = mesh(service("web", "shop"), *texts)
    ejected = {f"outbound|80||{HOST}": 1}
    callers = [reporter(*each) for each in (("a", ejected), ("b", ejected, "client"))]
    troubles = ejections([*callers, reporter("c", ejected)], world)
    assert [(place(each)[0], each.problem.partition(" leave")[0]) for each in troubles] == [
        ("of-client", "b.client"),
        ("of-owner", "a.default, c.default"),
    ]


def test_a_service_outside_the_mesh_is_known_by_its_host() -> None:
    entry = istio(
        "ServiceEntry",
        "api",
        "{hosts: [api.example.com], resolution: DNS, ports: [{number: 443, name: tls}]}",
    )
    policy = istio("DestinationRule", "api", f"{{host: api.example.com, {detecting('1s')}}}")
    trouble = found(entry, policy, cluster="outbound|443||api.example.com")
    assert place(trouble) == ("api", "spec.trafficPolicy.outlierDetection")
    assert trouble.service == "default/api.example.com"


def test_a_cluster_that_goes_by_another_name_in_statistics_is_still_told_of() -> None:
    trouble = found(TOP, cluster="web-of-the-shop")
    assert "client.default leaves 1 endpoint of web-of-the-shop alone" in trouble.problem
    assert (place(trouble), trouble.service) == (("", ""), "")
