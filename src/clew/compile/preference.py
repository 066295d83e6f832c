"""Which endpoints a proxy prefers, once everybody who may say so has been heard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew.model.destination_rule import (
    LoadBalancerSettings,
    LocalityDistribute,
    LocalityFailover,
    LocalityLoadBalancerSetting,
    ZoneAwareLoadBalancerSetting,
)
from clew.model.mesh_config import MeshConfig

REGION = "topology.kubernetes.io/region"
ZONE = "topology.kubernetes.io/zone"
SUBZONE = "topology.istio.io/subzone"
NETWORK = "topology.istio.io/network"
HOSTNAME = "kubernetes.io/hostname"

# A Service's traffic distribution is a failover priority of Istio's own choosing.
_DISTRIBUTIONS: Mapping[str, tuple[str, ...]] = {
    "PreferClose": (NETWORK, REGION, ZONE),
    "PreferSameZone": (NETWORK, REGION, ZONE),
    "PreferSameNode": (NETWORK, REGION, ZONE, SUBZONE, HOSTNAME),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """``forced``: even where nothing notices endpoints that fail.

    ``by_region``: only regions count, for Envoy spreads requests over the zones of one itself.
    """

    distribute: tuple[LocalityDistribute, ...] = ()
    failover: tuple[LocalityFailover, ...] = ()
    failover_priority: tuple[str, ...] = ()
    forced: bool = False
    by_region: bool = False


def preference(
    settings: LoadBalancerSettings | None, distribution: str, mesh: MeshConfig
) -> Preference | None:
    """What holds for a service; None: all endpoints are as good.

    The DestinationRule's word counts first, then the service's own, then the mesh's.
    Source: istio ``GetLocalityLbSetting``.
    """
    if _declared(settings) is None and distribution in _DISTRIBUTIONS:
        return Preference(failover_priority=_DISTRIBUTIONS[distribution], forced=True)
    setting = _in_force(settings, distribution, mesh)
    if setting is None or setting.enabled is False:
        return None
    if isinstance(setting, ZoneAwareLoadBalancerSetting):
        return Preference(
            failover=setting.failover, failover_priority=setting.failover_priority, by_region=True
        )
    return Preference(
        distribute=setting.distribute,
        failover=setting.failover,
        failover_priority=setting.failover_priority,
    )


def apply_locality(
    cluster: Cluster, settings: LoadBalancerSettings | None, distribution: str, mesh: MeshConfig
) -> None:
    """Set what weight localities have, where they have a say.

    Source: istio ``applyLocalityLoadBalancer``.
    """
    setting = _in_force(settings, distribution, mesh)
    if isinstance(setting, ZoneAwareLoadBalancerSetting):
        zones = cluster.common_lb_config.zone_aware_lb_config
        zones.SetInParent()
        if setting.min_cluster_size is not None:
            zones.min_cluster_size.value = setting.min_cluster_size
        if setting.enabled is False:
            zones.routing_enabled.value = 0
        return
    preferred = preference(settings, distribution, mesh)
    if preferred is None:
        return
    fails_over = preferred.forced or cluster.HasField("outlier_detection")
    if preferred.distribute or (fails_over and (preferred.failover or preferred.failover_priority)):
        cluster.common_lb_config.locality_weighted_lb_config.SetInParent()


def _declared(
    settings: LoadBalancerSettings | None,
) -> ZoneAwareLoadBalancerSetting | LocalityLoadBalancerSetting | None:
    if settings is None:
        return None
    return settings.zone_aware_lb_setting or settings.locality_lb_setting


def _in_force(
    settings: LoadBalancerSettings | None, distribution: str, mesh: MeshConfig
) -> ZoneAwareLoadBalancerSetting | LocalityLoadBalancerSetting | None:
    if (declared := _declared(settings)) is not None:
        return declared
    if distribution in _DISTRIBUTIONS:
        return None
    return mesh.zone_aware_lb_setting or mesh.locality_lb_setting
