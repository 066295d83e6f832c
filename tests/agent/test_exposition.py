"""Envoy's page of metrics, as Prometheus gets it."""

from __future__ import annotations

from clew.agent.exposition import istio_page, joined
from clew.model.metrics import LABELS, Own, Peer

OWN = Own(
    Peer.of("web-v1", "shop", {"app": "web", "version": "v1"}, "Kubernetes"),
    "spiffe://cluster.local/ns/shop/sa/web",
)
HTTP = (
    "source~db-v2;data;db;v2;Kubernetes~outbound|80||db.data.svc.cluster.local;~{code}~-~~"
    "spiffe://cluster.local/ns/data/sa/db"
)
TCP = "destination~~web.shop.svc.cluster.local;web;shop~-~-~-~spiffe://cluster.local/ns/data/sa/db"


def series(page: str, name: str) -> list[tuple[dict[str, str], str]]:
    """The samples called ``name``: labels and value."""
    found = []
    for line in page.splitlines():
        if line.startswith(name + "{"):
            labels, _, value = line.removeprefix(name + "{").rpartition("} ")
            pairs = (pair.partition("=")[::2] for pair in labels.split('",'))
            found.append(({k: v.strip('"') for k, v in pairs}, value))
    return found


def test_one_histogram_of_envoy_is_two_metrics_of_istio() -> None:
    name = "envoy_istio_istio_requests_and_duration_milliseconds"
    tag = f'clew_peer="{HTTP.format(code=200)}"'
    page = istio_page(
        f"# TYPE {name} histogram\n"
        f'{name}_bucket{{{tag},le="0.5"}} 3\n'
        f'{name}_bucket{{{tag},le="+Inf"}} 4\n'
        f"{name}_sum{{{tag}}} 20.5\n"
        f"{name}_count{{{tag}}} 4\n",
        OWN,
    )
    [(labels, value)] = series(page, "istio_requests_total")
    assert value == "4"
    assert tuple(labels) == LABELS
    assert labels["destination_service"] == "db.data.svc.cluster.local"
    duration = "istio_request_duration_milliseconds"
    buckets = {each["le"]: value for each, value in series(page, f"{duration}_bucket")}
    assert buckets == {"0.5": "3", "+Inf": "4"}
    [(same, total)] = series(page, f"{duration}_sum")
    assert (same, total) == (labels, "20.5")
    assert "# TYPE istio_requests_total counter" in page
    assert f"# TYPE {duration} histogram" in page
    assert "clew" not in page
    assert "envoy_istio" not in page


def test_requests_without_a_body_are_requests_of_no_bytes() -> None:
    joint = "envoy_istio_istio_requests_and_sizes_milliseconds"
    bodies = "envoy_istio_istio_request_bodies_bytes"
    lines = [f"# TYPE {joint} histogram"]
    for code, fast, count in ((200, 7, 9), (404, 1, 1)):
        tag = f'clew_peer="{HTTP.format(code=code)}"'
        lines += [f'{joint}_bucket{{{tag},le="5"}} {fast}', f'{joint}_bucket{{{tag},le="10"}} 9']
        lines += [f"{joint}_sum{{{tag}}} 40", f"{joint}_count{{{tag}}} {count}"]
    tag = f'clew_peer="{HTTP.format(code=200)}"'
    lines += [f"# TYPE {bodies} histogram", f'{bodies}_bucket{{{tag},le="5"}} 1']
    lines += [f'{bodies}_bucket{{{tag},le="10"}} 2', f"{bodies}_sum{{{tag}}} 120"]
    lines += [f"{bodies}_count{{{tag}}} 3"]
    page = istio_page("\n".join(lines), OWN)
    sizes = "istio_request_bytes"
    assert [value for _, value in series(page, f"{sizes}_count")] == ["9", "1"]
    assert [value for _, value in series(page, f"{sizes}_sum")] == ["120", "0"]
    buckets = [(each["le"], value) for each, value in series(page, f"{sizes}_bucket")]
    assert buckets == [("5", "7"), ("10", "8"), ("5", "1"), ("10", "1")]
    assert [value for _, value in series(page, "istio_requests_total")] == ["9", "1"]
    assert "bodies" not in page


def test_connections_are_counted_without_response_codes() -> None:
    name = "envoy_istio_istio_tcp_sent_bytes_total"
    text = f'# TYPE {name} counter\n{name}{{clew_peer="{TCP}"}} 180\n'
    [(labels, value)] = series(istio_page(text, OWN), "istio_tcp_sent_bytes_total")
    assert value == "180"
    assert (labels["reporter"], labels["request_protocol"]) == ("destination", "tcp")
    assert labels["destination_workload"] == "web-v1"
    assert "response_code" not in labels


def test_series_that_differ_in_removed_labels_only_are_added_up() -> None:
    name = "envoy_istio_istio_requests_total"
    lines = [f"# TYPE {name} counter"]
    for code, count in ((200, 3), (404, 2)):
        tags = f'clew_peer="{HTTP.format(code=code)}",clew_removed="response_code,source_app"'
        lines.append(f"{name}{{{tags}}} {count}")
    [(labels, value)] = series(istio_page("\n".join(lines), OWN), "istio_requests_total")
    assert value == "5"
    assert not {"response_code", "source_app", "clew_removed"} & set(labels)
    assert labels["source_workload"] == "web-v1"


def test_tags_of_telemetry_are_labels_as_they_are() -> None:
    name = "envoy_istio_istio_requests_total"
    tags = f'clew_peer="{HTTP.format(code=200)}",request_host="a\\"b",route="-",response_code="2xx"'
    text = f"# TYPE {name} counter\n{name}{{{tags}}} 1\n"
    page = istio_page(text, OWN)
    assert 'request_host="a\\"b"' in page
    assert 'route="unknown"' in page
    assert 'response_code="2xx"' in page


def test_what_is_not_of_istio_stays_as_it_is() -> None:
    text = '# TYPE envoy_server_live gauge\nenvoy_server_live{} 1\nenvoy_x{a="b",le="1"} 2\n'
    assert istio_page(text, OWN) == text


def test_pages_are_joined_without_the_ends_of_openmetrics() -> None:
    assert joined(["a 1\n", "", "b 2\n# EOF\n", "c 3"]) == "a 1\nb 2\nc 3\n"
