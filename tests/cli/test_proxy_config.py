"""``clew proxy-config``: what an Envoy has, in istioctl's columns."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clew.agent.spec import AgentSpec
from clew.ca.authority import pem
from clew.ca.keys import load_or_create
from clew.cli.envoy import endpoints, secrets
from clew.cli.envoy_admin import find_replica
from tests.cli.mesh import shell

DUMP = Path(__file__).parent / "envoy_dump.json"


def lines(home: Path, *arguments: str) -> list[list[str]]:
    text = shell(home).good("proxy-config", *arguments, "-f", str(DUMP))
    return [
        [cell.strip() for cell in line.split("   ") if cell.strip()] for line in text.splitlines()
    ]


def test_clusters_are_shown_by_service_and_port(home: Path) -> None:
    assert lines(home, "clusters") == [
        ["SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE"],
        ["9080", "-", "inbound", "ORIGINAL_DST"],
        ["ratings.default.svc.cluster.local", "80", "-", "outbound", "EDS"],
        ["ratings.default.svc.cluster.local", "443", "-", "outbound", "EDS"],
        ["reviews.default.svc.cluster.local", "9080", "v1", "outbound", "EDS", "reviews.default"],
        ["xds-grpc", "-", "-", "-", "STATIC"],
    ]


def test_istioctls_names_of_the_commands_are_taken(home: Path) -> None:
    assert lines(home, "cluster") == lines(home, "clusters") == lines(home, "c")


@pytest.mark.parametrize(
    ("filters", "ports"),
    [
        (("--port", "443"), ["443"]),
        (("--fqdn", "ratings.default.svc.cluster.local"), ["80", "443"]),
        (("--direction", "inbound"), []),
        (("--name", "xds-grpc"), ["-"]),
    ],
)
def test_clusters_are_chosen(home: Path, filters: tuple[str, ...], ports: list[str]) -> None:
    _, *found = lines(home, "clusters", *filters)
    assert [row[1] for row in found if len(row) == 5 or row[0] == "xds-grpc"] == ports


def test_listeners_are_shown_by_chain_and_those_refused_are_not(home: Path) -> None:
    assert lines(home, "listeners") == [
        ["ADDRESSES", "PORT", "MATCH", "DESTINATION"],
        ["0.0.0.0", "9080", "Trans: raw_buffer; App: HTTP", "Route: 9080"],
        ["0.0.0.0", "9080", "ALL", "Cluster: PassthroughCluster"],
        [
            *("0.0.0.0", "15006"),
            "SNI: a,b; Trans: tls; App: TCP TLS; Addr: *:9080",
            "Cluster: a (9), b (1)",
        ],
    ]
    assert len(lines(home, "listeners", "--direction", "inbound")) == 2
    assert len(lines(home, "listeners", "--port", "9080")) == 3


def test_routes_are_shown_with_what_made_them(home: Path) -> None:
    domains = "reviews, reviews.default + 2 more..."
    assert lines(home, "routes") == [
        ["NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE"],
        ["9080", "reviews:9080", domains, "/*", "reviews.default"],
        ["9080", "reviews:9080", domains, "/exact"],
        ["9080", "reviews:9080", domains, "regex /a.*"],
        ["9080", "block_all", "*", "/*", "404"],
    ]
    assert len(lines(home, "routes", "--fqdn", "reviews.default")) == 4
    nothing = shell(home).clew("proxy-config", "routes", "--name", "8000", "-f", str(DUMP))
    assert "Nothing in this Envoy fits" in nothing.stderr


@pytest.mark.parametrize("output", ["short", "json", "yaml"])
@pytest.mark.parametrize("what", ["secrets", "all"])
def test_secrets_are_shown_and_what_is_secret_never_is(home: Path, what: str, output: str) -> None:
    if (what, output) == ("all", "short"):
        return  # needs the Envoy itself
    text = shell(home).good("proxy-config", what, "-o", output, "-f", str(DUMP))
    assert "ROOTCA" in text
    assert "THE KEY" not in text
    assert "THE PASSWORD" not in text


def test_a_certificate_is_shown_with_its_times(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    authority = load_or_create(tmp_path, "cluster.local", now=now)
    each = {
        "name": "ROOTCA",
        "secret": {"validation_context": {"trusted_ca": {"inline_string": pem(authority.root)}}},
    }
    row = secrets.rows([("ACTIVE", each)], now)[1]
    assert row[:4] == ("ROOTCA", "CA", "ACTIVE", "true")
    assert row[5] == authority.root.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    past_its_end = authority.root.not_valid_after_utc + timedelta(seconds=1)
    assert secrets.rows([("ACTIVE", each)], past_its_end)[1][3] == "false"


HOST = {
    "address": {"socket_address": {"address": "10.0.0.5", "port_value": 9080}},
    "health_status": {"eds_health_status": "HEALTHY"},
}
OUT = {
    "address": {"socket_address": {"address": "10.0.0.6", "port_value": 9080}},
    "health_status": {"eds_health_status": "UNHEALTHY", "failed_outlier_check": True},
}
PIPE = {"address": {"pipe": {"path": "./admin.sock"}}, "health_status": {}}
CLUSTERS = {
    "cluster_statuses": [
        {"name": "outbound|80||a.b", "host_statuses": [HOST, OUT]},
        {"name": "agent", "host_statuses": [PIPE]},
    ]
}


def test_endpoints_are_shown_with_their_health() -> None:
    found = endpoints.all_of(CLUSTERS, endpoints.Wanted())
    assert endpoints.rows(found)[1:] == [
        ("10.0.0.5:9080", "HEALTHY", "OK", "outbound|80||a.b"),
        ("10.0.0.6:9080", "UNHEALTHY", "FAILED", "outbound|80||a.b"),
        ("unix://./admin.sock", "HEALTHY", "OK", "agent"),
    ]


@pytest.mark.parametrize(
    "wanted",
    [
        endpoints.Wanted(status="unhealthy"),
        endpoints.Wanted(fqdn="a.b", status="UNHEALTHY"),
        endpoints.Wanted(port=9080, direction="outbound", status="UNHEALTHY"),
    ],
)
def test_endpoints_are_chosen(wanted: endpoints.Wanted) -> None:
    (row,) = endpoints.rows(endpoints.all_of(CLUSTERS, wanted))[1:]
    assert row[0] == "10.0.0.6:9080"


def test_the_bootstrap_is_shown_as_json(home: Path) -> None:
    found = json.loads(shell(home).good("proxy-config", "bootstrap", "-f", str(DUMP)))
    assert found["node"]["metadata"]["ISTIO_VERSION"] == "1.31.0"
    short = shell(home).good("proxy-config", "bootstrap", "-o", "short", "-f", str(DUMP))
    assert "1.31.0" in short


def replica(name: str, workload: str, namespace: str) -> AgentSpec:
    labels = {"app": workload.partition("-")[0]}
    fields = {"mesh": "m", "type": "sidecar", "ip": "10.0.0.1", "labels": labels}
    return AgentSpec(**fields, name=name, namespace=namespace, workload=workload)  # type: ignore[arg-type]  # of several types


REPLICAS = [
    replica("reviews-v1-0", "reviews-v1", "default"),
    replica("reviews-v1-1", "reviews-v1", "default"),
    replica("reviews-v1-0", "reviews-v1", "shop"),
]


@pytest.mark.parametrize(
    ("namespace", "workload", "index"),
    [
        ("", "reviews-v1-1", 1),
        ("", "deployment/reviews-v1", 0),
        ("shop", "reviews", 2),
        ("", "reviews-v1-0.shop", 2),
        ("", "reviews-v1.shop", 2),
    ],
)
def test_workloads_are_named_as_for_istioctl(namespace: str, workload: str, index: int) -> None:
    assert find_replica(REPLICAS, namespace, workload) is REPLICAS[index]


def test_a_workload_that_is_not_there_is_none() -> None:
    assert find_replica(REPLICAS, "", "ratings") is None
    assert find_replica(REPLICAS, "other", "reviews-v1") is None


def test_what_cannot_be_done_is_said(home: Path, tmp_path: Path) -> None:
    nobody = shell(home).clew("proxy-config", "clusters")
    assert nobody.exit_code == 2
    assert "name a workload" in nobody.stderr
    nowhere = shell(home).clew("proxy-config", "clusters", "reviews-v1")
    assert "clew up" in nowhere.stderr
    (tmp_path / "x.json").write_text("no dump")
    bad = shell(home).clew("proxy-config", "clusters", "-f", str(tmp_path / "x.json"))
    assert "is no dump of Envoy" in bad.stderr
    live = shell(home).clew("proxy-config", "endpoints", "-f", str(DUMP))
    assert "ask the workload itself" in live.stderr
