"""Istio's standard metrics, their labels as calls from the gateway have them, and its queries.

Sources: istio.io, "Istio Standard Metrics", "Querying Metrics from Prometheus" and "Visualizing
Metrics with Grafana"; the mesh, service, workload and control-plane dashboards of Istio; Envoy's
default buckets, which are Istio's.
"""

from __future__ import annotations

PAGE = "productpage.default.svc.cluster.local"
ECHO = "tcp-echo.default.svc.cluster.local"

OF_REQUESTS = (
    "istio_requests_total",
    *(
        f"istio_{name}_{part}"
        for name in ("request_duration_milliseconds", "request_bytes", "response_bytes")
        for part in ("bucket", "sum", "count")
    ),
)
OF_CONNECTIONS = tuple(
    f"istio_tcp_{name}_total"
    for name in ("connections_opened", "connections_closed", "sent_bytes", "received_bytes")
)
BUCKETS = (
    *(0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000),
    *(600000, 1800000, 3600000, float("inf")),
)
_SPIFFE = "spiffe://cluster.local/ns"
_GATEWAY = {
    "source_workload": "istio-ingressgateway",
    "source_workload_namespace": "istio-system",
    "source_principal": f"{_SPIFFE}/istio-system/sa/istio-ingressgateway-service-account",
    "source_app": "istio-ingressgateway",
    "source_version": "unknown",
    "source_cluster": "Kubernetes",
    "source_canonical_service": "istio-ingressgateway",
    "source_canonical_revision": "latest",
}
_PRODUCTPAGE = {
    "destination_workload": "productpage-v1",
    "destination_workload_namespace": "default",
    "destination_principal": f"{_SPIFFE}/default/sa/bookinfo-productpage",
    "destination_app": "productpage",
    "destination_version": "v1",
    "destination_cluster": "Kubernetes",
    "destination_canonical_service": "productpage",
    "destination_canonical_revision": "v1",
    "destination_service": PAGE,
    "destination_service_name": "productpage",
    "destination_service_namespace": "default",
}
_ECHO = {
    "destination_workload": "tcp-echo-v1",
    "destination_workload_namespace": "default",
    "destination_principal": f"{_SPIFFE}/default/sa/default",
    "destination_app": "tcp-echo",
    "destination_version": "v1",
    "destination_cluster": "Kubernetes",
    "destination_canonical_service": "tcp-echo",
    "destination_canonical_revision": "v1",
    "destination_service": ECHO,
    "destination_service_name": "tcp-echo",
    "destination_service_namespace": "default",
}


def expected_labels(metric: str, reporter: str) -> dict[str, str]:
    """Of requests, those for productpage; of connections, those to tcp-echo-v1."""
    of_both = {
        "reporter": reporter,
        "response_flags": "-",
        # A client does not say.
        "connection_security_policy": "unknown" if reporter == "source" else "mutual_tls",
    }
    if metric in OF_CONNECTIONS:
        return of_both | _GATEWAY | _ECHO | {"request_protocol": "tcp"}
    return of_both | _GATEWAY | _PRODUCTPAGE | {"request_protocol": "http", "response_code": "200"}


# How many series the answer has at least.
QUERIES = {
    # istio.io, querying metrics
    "istio_requests_total": 1,
    f'istio_requests_total{{destination_service="{PAGE}"}}': 1,
    'istio_requests_total{destination_service="reviews.default.svc.cluster.local",'
    ' destination_version="v3"}': 1,
    'rate(istio_requests_total{destination_service=~"productpage.*", response_code="200"}[5m])': 1,
    # the mesh dashboard
    'round(sum(irate(istio_requests_total{reporter=~"source|waypoint"}[1m])), 0.01)': 1,
    'sum(rate(istio_requests_total{reporter=~"source|waypoint", response_code!~"5.*"}[1m]))'
    ' / sum(rate(istio_requests_total{reporter=~"source|waypoint"}[1m]))': 1,
    'label_join(sum(rate(istio_requests_total{reporter=~"source|waypoint", response_code="200"}'
    "[1m])) by (destination_workload, destination_workload_namespace, destination_service),"
    ' "destination_workload_var", ".", "destination_workload",'
    ' "destination_workload_namespace")': 5,
    "label_join((histogram_quantile(0.50, sum(rate(istio_request_duration_milliseconds_bucket"
    '{reporter=~"source|waypoint"}[1m])) by (le, destination_workload,'
    " destination_workload_namespace, destination_service)) / 1000),"
    ' "destination_workload_var", ".", "destination_workload",'
    ' "destination_workload_namespace")': 5,
    'sum(istio_build{component="pilot"}) by (tag)': 1,
    # the service dashboard
    'sum(irate(istio_requests_total{reporter=~"destination",'
    f' destination_service=~"{PAGE}"}}[5m]))': 1,
    f'sum(irate(istio_requests_total{{connection_security_policy="mutual_tls",'
    f' destination_service=~"{PAGE}", reporter=~"destination", source_workload=~".*"}}[5m]))'
    " by (source_workload, source_workload_namespace, response_code)": 1,
    'histogram_quantile(0.95, sum(irate(istio_response_bytes_bucket{reporter=~"destination",'
    f' connection_security_policy="mutual_tls", destination_service=~"{PAGE}"}}[1m]))'
    " by (source_workload, source_workload_namespace, le))": 1,
    'histogram_quantile(0.99, sum(irate(istio_request_bytes_bucket{reporter="source",'
    f' destination_service=~"{PAGE}"}}[1m])) by (le))': 1,
    f'round(sum(irate(istio_tcp_received_bytes_total{{reporter=~"source", destination_service=~'
    f'"{ECHO}"}}[1m])) by (source_workload, source_workload_namespace), 0.001)': 1,
    # the workload dashboard
    'round(sum(irate(istio_requests_total{source_workload_namespace=~"default",'
    ' source_workload=~"productpage-v1", reporter=~"source"}[5m])) by (destination_service,'
    " response_code), 0.001)": 2,
    # the control plane's
    "sum(pilot_xds) by (version)": 1,
    "pilot_services": 1,
    'sum(irate(pilot_xds_pushes{type="cds"}[1m]))': 1,
    "histogram_quantile(0.99, sum(rate(pilot_proxy_convergence_time_bucket[5m])) by (le))": 1,
    "sum(rate(citadel_server_csr_count[1m]))": 1,
    "citadel_server_root_cert_expiry_timestamp": 1,
    # the agent's
    "min(istio_agent_cert_expiry_seconds)": 1,
}
