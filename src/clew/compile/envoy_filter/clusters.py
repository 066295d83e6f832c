"""Patches to clusters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew.compile.envoy_filter.matches import Surroundings, is_cluster
from clew.compile.envoy_filter.patches import Applied, Patch, Patches, in_context
from clew.compile.envoy_filter.transport_sockets import merge_cluster
from clew.model import names
from clew.model.envoy_filter import ApplyTo, PatchContext, PatchOperation


def cluster_context(name: str, where: Surroundings) -> PatchContext:
    if where.router:
        return PatchContext.GATEWAY
    inbound = name.startswith("inbound|") or name == names.INBOUND_PASSTHROUGH_CLUSTER
    return PatchContext.SIDECAR_INBOUND if inbound else PatchContext.SIDECAR_OUTBOUND


def patch_cluster(
    cluster: Cluster, patches: Patches, where: Surroundings, applied: Applied
) -> Cluster | None:
    """Return the cluster after its patches, itself changed; None if one removes it.

    Source: istio ``ApplyClusterMerge`` and ``ShouldKeepCluster``.
    """
    name = cluster.name
    for patch in in_context(patches, ApplyTo.CLUSTER, cluster_context(name, where)):
        if not is_cluster(patch.match.cluster, name, where):
            continue
        if patch.operation is PatchOperation.REMOVE:
            applied[patch.key] += 1
            return None
        if patch.merges and isinstance(patch.value, Cluster):
            applied[patch.key] += merge_cluster(cluster, patch.value, patch.replaces_lists)
    return cluster


def added_clusters(
    patches: Patches, contexts: Sequence[PatchContext]
) -> Iterator[tuple[Patch, Cluster]]:
    for patch in patches.get(ApplyTo.CLUSTER, ()):
        if patch.operation is PatchOperation.ADD and any(map(patch.holds_in, contexts)):
            assert isinstance(patch.value, Cluster)
            yield patch, patch.value
