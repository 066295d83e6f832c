"""MeshConfig: the settings of the mesh as a whole (ConfigMap ``istio``, key ``mesh``)."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from clew.model.base import Model
from clew.model.destination_rule import (
    ClientTLSSettings,
    ConnectionPoolSettings,
    LocalityLoadBalancerSetting,
    OutlierDetection,
    TcpKeepalive,
    ZoneAwareLoadBalancerSetting,
)
from clew.model.duration import Duration
from clew.model.extension_providers import ExtensionProvider
from clew.model.mesh_proxy_config import MeshProxyConfig
from clew.model.selectors import LabelSelector
from clew.model.virtual_service import HTTPRetry


class OutboundTrafficPolicyMode(StrEnum):
    REGISTRY_ONLY = "REGISTRY_ONLY"
    ALLOW_ANY = "ALLOW_ANY"
    ALLOW_ANY_DYNAMIC_DNS = "ALLOW_ANY_DYNAMIC_DNS"


class InboundTrafficPolicyMode(StrEnum):
    PASSTHROUGH = "PASSTHROUGH"
    LOCALHOST = "LOCALHOST"


class SubscribedResource(StrEnum):
    SERVICE_REGISTRY = "SERVICE_REGISTRY"


class ServiceScope(StrEnum):
    LOCAL = "LOCAL"
    GLOBAL = "GLOBAL"


class NormalizationType(StrEnum):
    DEFAULT = "DEFAULT"
    NONE = "NONE"
    BASE = "BASE"
    MERGE_SLASHES = "MERGE_SLASHES"
    DECODE_AND_MERGE_SLASHES = "DECODE_AND_MERGE_SLASHES"


class TLSProtocol(StrEnum):
    TLS_AUTO = "TLS_AUTO"
    TLSV1_2 = "TLSV1_2"
    TLSV1_3 = "TLSV1_3"


class Visibility(StrEnum):
    VISIBILITY_UNSPECIFIED = "VISIBILITY_UNSPECIFIED"
    NONE = "NONE"
    NAMESPACE = "NAMESPACE"
    PUBLIC = "PUBLIC"


class IngressControllerMode(StrEnum):
    UNSPECIFIED = "UNSPECIFIED"
    OFF = "OFF"
    DEFAULT = "DEFAULT"
    STRICT = "STRICT"


class AccessLogEncoding(StrEnum):
    TEXT = "TEXT"
    JSON = "JSON"


class MeshOutboundTrafficPolicy(Model, frozen=True, kw_only=True):
    mode: OutboundTrafficPolicyMode | None = None
    tls: ClientTLSSettings | None = None


class InboundTrafficPolicy(Model, frozen=True, kw_only=True):
    mode: InboundTrafficPolicyMode | None = None


class ConfigSource(Model, frozen=True, kw_only=True):
    address: str = ""
    tls_settings: ClientTLSSettings | None = None
    subscribed_resources: tuple[SubscribedResource, ...] = ()


class CertificateData(Model, frozen=True, kw_only=True):
    pem: str = ""
    spiffe_bundle_url: str = ""
    cert_signers: tuple[str, ...] = ()
    trust_domains: tuple[str, ...] = ()


class Certificate(Model, frozen=True, kw_only=True):
    secret_name: str = ""
    dns_names: tuple[str, ...] = ()


class ServiceSettingsSettings(Model, frozen=True, kw_only=True):
    cluster_local: bool = False


class ServiceSettings(Model, frozen=True, kw_only=True):
    settings: ServiceSettingsSettings | None = None
    hosts: tuple[str, ...] = ()


class ServiceScopeConfigs(Model, frozen=True, kw_only=True):
    namespace_selector: LabelSelector | None = None
    services_selector: LabelSelector | None = None
    scope: ServiceScope | None = None


class CA(Model, frozen=True, kw_only=True):
    address: str = ""
    tls_settings: ClientTLSSettings | None = None
    request_timeout: Duration | None = None
    istiod_side: bool = False


class DefaultProviders(Model, frozen=True, kw_only=True):
    tracing: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    access_logging: tuple[str, ...] = ()


class ProxyPathNormalization(Model, frozen=True, kw_only=True):
    normalization: NormalizationType | None = None


class MeshTLSConfig(Model, frozen=True, kw_only=True):
    min_protocol_version: TLSProtocol | None = None
    ecdh_curves: tuple[str, ...] = ()
    cipher_suites: tuple[str, ...] = ()


class DefaultTrafficPolicy(Model, frozen=True, kw_only=True):
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None


class ServiceEntryVisibilityMatchRule(Model, frozen=True, kw_only=True):
    namespace_selector: LabelSelector | None = None


class ServiceEntryVisibilityPolicy(Model, frozen=True, kw_only=True):
    visibility: Visibility | None = None
    matching_rules: tuple[ServiceEntryVisibilityMatchRule, ...] = ()


class ServiceEntryVisibility(Model, frozen=True, kw_only=True):
    default_visibility: Visibility | None = None
    apply_to_sidecars: bool = False
    policies: tuple[ServiceEntryVisibilityPolicy, ...] = ()


class MeshH2UpgradePolicy(StrEnum):
    DO_NOT_UPGRADE = "DO_NOT_UPGRADE"
    UPGRADE = "UPGRADE"


class MeshConfig(Model, frozen=True, kw_only=True):
    """Defaults are Istio's. ``extension_providers`` lists only those that were declared."""

    proxy_listen_port: int = 15001
    proxy_inbound_listen_port: int = 15006
    proxy_http_port: int = 0
    connect_timeout: Duration = Duration(10_000_000_000)
    hbone_idle_timeout: Duration | None = None
    protocol_detection_timeout: Duration | None = None
    tcp_keepalive: TcpKeepalive | None = None
    ingress_class: str = "istio"
    ingress_service: str = "istio-ingressgateway"
    ingress_controller_mode: IngressControllerMode = IngressControllerMode.STRICT
    ingress_selector: str = "ingressgateway"
    enable_tracing: bool = True
    access_log_file: str = ""
    access_log_format: str = ""
    access_log_encoding: AccessLogEncoding = AccessLogEncoding.TEXT
    enable_envoy_access_log_service: bool = False
    disable_envoy_listener_log: bool = False
    default_config: MeshProxyConfig | None = None
    outbound_traffic_policy: MeshOutboundTrafficPolicy | None = None
    inbound_traffic_policy: InboundTrafficPolicy | None = None
    config_sources: tuple[ConfigSource, ...] = ()
    enable_auto_mtls: bool = True
    trust_domain: str = "cluster.local"
    trust_domain_aliases: tuple[str, ...] = ()
    ca_certificates: tuple[CertificateData, ...] = ()
    default_service_export_to: tuple[str, ...] = ("*",)
    default_virtual_service_export_to: tuple[str, ...] = ("*",)
    default_destination_rule_export_to: tuple[str, ...] = ("*",)
    root_namespace: str = "istio-system"
    locality_lb_setting: LocalityLoadBalancerSetting | None = LocalityLoadBalancerSetting(
        enabled=True
    )
    zone_aware_lb_setting: ZoneAwareLoadBalancerSetting | None = None
    dns_refresh_rate: Duration = Duration(60_000_000_000)
    h2_upgrade_policy: MeshH2UpgradePolicy | None = None
    inbound_cluster_stat_name: str = ""
    outbound_cluster_stat_name: str = ""
    certificates: tuple[Certificate, ...] = ()
    service_settings: tuple[ServiceSettings, ...] = ()
    service_scope_configs: tuple[ServiceScopeConfigs, ...] = ()
    enable_prometheus_merge: bool = True
    verify_certificate_at_client: bool | None = None
    ca: CA | None = None
    extension_providers: tuple[ExtensionProvider, ...] = ()
    default_providers: DefaultProviders | None = None
    discovery_selectors: tuple[LabelSelector, ...] = ()
    path_normalization: ProxyPathNormalization | None = None
    default_http_retry_policy: HTTPRetry | None = None
    mesh_mtls: MeshTLSConfig | None = msgspec.field(name="meshMTLS", default=None)
    tls_defaults: MeshTLSConfig | None = None
    default_traffic_policy: DefaultTrafficPolicy | None = None
    service_entry_visibility: ServiceEntryVisibility | None = None
    default_inbound_http_retry_policy: HTTPRetry | None = None
