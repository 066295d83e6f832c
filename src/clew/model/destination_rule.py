"""DestinationRule: what happens to traffic once routing has chosen a destination."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from clew.model.base import Model, Resource
from clew.model.duration import Duration
from clew.model.selectors import PolicySelector
from clew.model.virtual_service import PortSelector


class SimpleLB(StrEnum):
    UNSPECIFIED = "UNSPECIFIED"
    LEAST_CONN = "LEAST_CONN"
    RANDOM = "RANDOM"
    PASSTHROUGH = "PASSTHROUGH"
    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_REQUEST = "LEAST_REQUEST"


class HTTPCookieAttribute(Model, frozen=True, kw_only=True):
    name: str
    value: str = ""


class HTTPCookie(Model, frozen=True, kw_only=True):
    name: str
    path: str = ""
    ttl: Duration | None = None
    attributes: tuple[HTTPCookieAttribute, ...] = ()


class RingHash(Model, frozen=True, kw_only=True):
    minimum_ring_size: int | None = None


class MagLev(Model, frozen=True, kw_only=True):
    table_size: int | None = None


class ConsistentHashLB(Model, frozen=True, kw_only=True):
    http_header_name: str | None = None
    http_cookie: HTTPCookie | None = None
    use_source_ip: bool | None = None
    http_query_parameter_name: str | None = None
    ring_hash: RingHash | None = None
    maglev: MagLev | None = None
    minimum_ring_size: int | None = None


class LocalityDistribute(Model, frozen=True, kw_only=True):
    from_: str = ""
    to: dict[str, int] = {}


class LocalityFailover(Model, frozen=True, kw_only=True):
    from_: str = ""
    to: str = ""


class LocalityLoadBalancerSetting(Model, frozen=True, kw_only=True):
    distribute: tuple[LocalityDistribute, ...] = ()
    failover: tuple[LocalityFailover, ...] = ()
    failover_priority: tuple[str, ...] = ()
    enabled: bool | None = None


class ZoneAwareLoadBalancerSetting(Model, frozen=True, kw_only=True):
    enabled: bool | None = None
    failover: tuple[LocalityFailover, ...] = ()
    failover_priority: tuple[str, ...] = ()
    min_cluster_size: int | None = None


class WarmupConfiguration(Model, frozen=True, kw_only=True):
    duration: Duration
    minimum_percent: float | None = None
    aggression: float | None = None


class BackendUtilization(Model, frozen=True, kw_only=True):
    error_utilization_penalty_percent: int | None = None
    metric_names_for_computing_utilization: tuple[str, ...] = ()
    weight_expiration_period: Duration | None = None
    weight_stabilization_period: Duration | None = None
    weight_update_period: Duration | None = None


class LoadBalancerSettings(Model, frozen=True, kw_only=True):
    simple: SimpleLB | None = None
    consistent_hash: ConsistentHashLB | None = None
    backend_utilization: BackendUtilization | None = None
    locality_lb_setting: LocalityLoadBalancerSetting | None = None
    zone_aware_lb_setting: ZoneAwareLoadBalancerSetting | None = None
    warmup_duration_secs: Duration | None = None
    warmup: WarmupConfiguration | None = None


class TcpKeepalive(Model, frozen=True, kw_only=True):
    probes: int | None = None
    time: Duration | None = None
    interval: Duration | None = None


class TCPSettings(Model, frozen=True, kw_only=True):
    max_connections: int | None = None
    connect_timeout: Duration | None = None
    tcp_keepalive: TcpKeepalive | None = None
    max_connection_duration: Duration | None = None
    idle_timeout: Duration | None = None


class H2UpgradePolicy(StrEnum):
    DEFAULT = "DEFAULT"
    DO_NOT_UPGRADE = "DO_NOT_UPGRADE"
    UPGRADE = "UPGRADE"


class HTTP2KeepAlive(Model, frozen=True, kw_only=True):
    interval: Duration | None = None
    timeout: Duration | None = None


class HTTPSettings(Model, frozen=True, kw_only=True):
    http1_max_pending_requests: int | None = None
    http2_max_requests: int | None = None
    max_requests_per_connection: int | None = None
    max_retries: int | None = None
    idle_timeout: Duration | None = None
    h2_upgrade_policy: H2UpgradePolicy | None = None
    use_client_protocol: bool | None = None
    max_concurrent_streams: int | None = None
    http2_keep_alive: HTTP2KeepAlive | None = None


class ConnectionPoolSettings(Model, frozen=True, kw_only=True):
    tcp: TCPSettings | None = None
    http: HTTPSettings | None = None


class OutlierDetection(Model, frozen=True, kw_only=True):
    consecutive_errors: int | None = None
    split_external_local_origin_errors: bool | None = None
    consecutive_local_origin_failures: int | None = None
    consecutive_gateway_errors: int | None = None
    consecutive_5xx_errors: int | None = msgspec.field(name="consecutive5xxErrors", default=None)
    interval: Duration | None = None
    base_ejection_time: Duration | None = None
    max_ejection_percent: int | None = None
    min_health_percent: int | None = None
    outlier_detection_http_error_codes: tuple[int, ...] = ()


class ClientTLSMode(StrEnum):
    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


class ClientTLSSettings(Model, frozen=True, kw_only=True):
    mode: ClientTLSMode | None = None
    client_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    ca_crl: str = ""
    credential_name: str = ""
    subject_alt_names: tuple[str, ...] = ()
    sni: str = ""
    insecure_skip_verify: bool | None = None


class TunnelSettings(Model, frozen=True, kw_only=True):
    protocol: str = ""
    target_host: str
    target_port: int


class ProxyProtocolVersion(StrEnum):
    V1 = "V1"
    V2 = "V2"


class ProxyProtocol(Model, frozen=True, kw_only=True):
    version: ProxyProtocolVersion | None = None


class RetryBudget(Model, frozen=True, kw_only=True):
    percent: float | None = None
    budget_interval: Duration | None = None
    min_retry_concurrency: int | None = None


class PortTrafficPolicy(Model, frozen=True, kw_only=True):
    port: PortSelector | None = None
    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None


class TrafficPolicy(Model, frozen=True, kw_only=True):
    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None
    port_level_settings: tuple[PortTrafficPolicy, ...] = ()
    tunnel: TunnelSettings | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None


class Subset(Model, frozen=True, kw_only=True):
    name: str
    labels: dict[str, str] = {}
    traffic_policy: TrafficPolicy | None = None


class DestinationRuleSpec(Model, frozen=True, kw_only=True):
    host: str
    traffic_policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    export_to: tuple[str, ...] = ()
    workload_selector: PolicySelector | None = None


class DestinationRule(Resource, frozen=True, kw_only=True):
    spec: DestinationRuleSpec
