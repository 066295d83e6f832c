"""Label selectors, and the labels that say what a workload is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from clew.model.selectors import LabelSelector, LabelSelectorRequirement
from clew.model.service import Locality

Labels = tuple[tuple[str, str], ...]

TLS_MODE = "security.istio.io/tlsMode"
NETWORK = "topology.istio.io/network"
WORKLOAD_NAME = "service.istio.io/workload-name"
_LOCALITY = ("topology.istio.io/locality", "istio-locality")
_NODE_LOCALITY = (
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "topology.istio.io/subzone",
)


def sorted_labels(labels: Mapping[str, str]) -> Labels:
    """The same object for the replicas of a workload, one after the other."""
    return _kept(tuple(sorted(labels.items())))


@lru_cache(maxsize=1024)
def _kept(labels: Labels) -> Labels:
    return labels


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether all labels of the selector are there. The empty selector selects everything."""
    return selector.items() <= labels.items()


def fits(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether labels have all that Kubernetes' selector asks for, which may be nothing."""
    expressions = all(_holds(each, labels) for each in selector.match_expressions)
    return selects(selector.match_labels, labels) and expressions


def _holds(requirement: LabelSelectorRequirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return False


def restricted(labels: Labels, keys: Iterable[str]) -> Labels:
    """Only the labels that have one of these keys."""
    wanted = frozenset(keys)
    return tuple(pair for pair in labels if pair[0] in wanted)


def label_locality(labels: Mapping[str, str]) -> Locality | None:
    """The locality that a workload claims for itself.

    Labels cannot hold ``/``, so people write ``region.zone.subzone``.
    Source: istio ``GetLocalityLabel``.
    """
    for key in _LOCALITY:
        if text := labels.get(key):
            return Locality.parse(text if "/" in text else text.replace(".", "/"))
    return None


def node_locality(labels: Mapping[str, str]) -> Locality:
    """The locality of everything that runs on a node with these labels."""
    return Locality(*(labels.get(key, "") for key in _NODE_LOCALITY))
