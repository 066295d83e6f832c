"""A DestinationRule's ``outlierDetection``: endpoints that fail are left alone for a while."""

from __future__ import annotations

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew.model.destination_rule import OutlierDetection


def apply_outlier_detection(cluster: Cluster, settings: OutlierDetection | None) -> None:
    """Set passive health checking; without a declaration there is none.

    Once declared, an unhealthy majority is no reason to use the ejected ones again (Envoy's panic
    mode), unless ``minHealthPercent`` says so.
    Source: istio ``applyOutlierDetection``.
    """
    if settings is None:
        return
    detection = cluster.outlier_detection
    # Success rates compare endpoints with each other, which Istio's API has no words for.
    detection.enforcing_success_rate.value = 0
    if (errors := settings.consecutive_5xx_errors) is not None:
        detection.consecutive_5xx.value = errors
        detection.enforcing_consecutive_5xx.value = 100 if errors else 0
    if (gateway := settings.consecutive_gateway_errors) is not None:
        detection.consecutive_gateway_failure.value = gateway
        detection.enforcing_consecutive_gateway_failure.value = 100 if gateway else 0
    if settings.split_external_local_origin_errors:
        detection.split_external_local_origin_errors = True
        if local := settings.consecutive_local_origin_failures:
            detection.consecutive_local_origin_failure.value = local
            detection.enforcing_consecutive_local_origin_failure.value = 100
        detection.enforcing_local_origin_success_rate.value = 0
    if settings.interval is not None:
        detection.interval.FromTimedelta(settings.interval.timedelta)
    if settings.base_ejection_time is not None:
        detection.base_ejection_time.FromTimedelta(settings.base_ejection_time.timedelta)
    if settings.max_ejection_percent:
        detection.max_ejection_percent.value = settings.max_ejection_percent
    panic = settings.min_health_percent or 0
    cluster.common_lb_config.healthy_panic_threshold.value = panic
