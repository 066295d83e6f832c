"""Envoy's ``/config_dump``, taken apart by what it holds. Private keys never leave Envoy.

Source: Envoy's ``envoy.admin.v3.ConfigDump``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

Part = Mapping[str, Any]

CONFIG_PATH = "/config_dump?include_eds"
CLUSTERS_PATH = "/clusters?format=json"
_KEYS = ("private_key", "password", "private_key_provider", "session_ticket_keys", "generic_secret")
_REDACTED = "[redacted]"

Direction = Literal["inbound", "outbound", ""]


def parts(dump: Part, kind: str) -> Iterator[Part]:
    """Yield the dumps of one kind: ``ClustersConfigDump``."""
    for each in dump.get("configs", ()):
        if str(each.get("@type", "")).endswith(f".{kind}"):
            yield each


def clusters(dump: Part) -> list[Part]:
    return _sorted(
        each["cluster"]
        for part in parts(dump, "ClustersConfigDump")
        for each in _all(part, "static_clusters", "dynamic_active_clusters")
    )


def listeners(dump: Part) -> list[Part]:
    """The listeners that serve; one that Envoy refused is not among them."""
    found = []
    for part in parts(dump, "ListenersConfigDump"):
        found += [each["listener"] for each in part.get("static_listeners", ())]
        active = (each.get("active_state", {}) for each in part.get("dynamic_listeners", ()))
        found += [state["listener"] for state in active if "listener" in state]
    return _sorted(found)


def routes(dump: Part) -> list[Part]:
    return _sorted(
        each["route_config"]
        for part in parts(dump, "RoutesConfigDump")
        for each in _all(part, "static_route_configs", "dynamic_route_configs")
    )


def endpoints(dump: Part) -> list[Part]:
    """The load assignments of clusters that have their endpoints from the control plane."""
    return _sorted(
        each["endpoint_config"]
        for part in parts(dump, "EndpointsConfigDump")
        for each in _all(part, "dynamic_endpoint_configs")
    )


def secrets(dump: Part) -> list[tuple[str, Part]]:
    """Secrets with their state, ``ACTIVE`` or ``WARMING``; what must not be seen is left out."""
    states = {"ACTIVE": ("static_secrets", "dynamic_active_secrets"),
              "WARMING": ("dynamic_warming_secrets",)}  # fmt: skip
    return [
        (state, redacted(each))
        for part in parts(dump, "SecretsConfigDump")
        for state, fields in states.items()
        for each in _all(part, *fields)
    ]


def bootstrap(dump: Part) -> Part:
    return next((part.get("bootstrap", {}) for part in parts(dump, "BootstrapConfigDump")), {})


def redacted(value: Any) -> Any:
    """The same without what is secret, whatever Envoy has already left out."""
    if isinstance(value, Mapping):
        return {k: _REDACTED if k in _KEYS else redacted(v) for k, v in value.items()}
    return [redacted(each) for each in value] if isinstance(value, list) else value


def _all(part: Part, *fields: str) -> Iterator[Part]:
    for name in fields:
        yield from part.get(name, ())


def _sorted(found: Any) -> list[Part]:
    return sorted(
        (redacted(each) for each in found),
        key=lambda each: str(each.get("name", each.get("cluster_name", ""))),
    )


def socket_address(address: Part) -> tuple[str, int]:
    """Address and port; of a pipe its path and 0."""
    if "pipe" in address:
        return str(address["pipe"]["path"]), 0
    found = address.get("socket_address", {})
    return str(found.get("address", "")), int(found.get("port_value", 0))


def split_cluster(name: str) -> tuple[Direction, int, str, str] | None:
    """``outbound|9080|v1|reviews.default.svc.cluster.local`` in parts; None if it is no such."""
    words = name.split("|")
    if len(words) != 4 or not words[1].isdecimal():
        return None
    direction: Direction = "outbound" if words[0].startswith("outbound") else "inbound"
    return direction, int(words[1]), words[2], words[3]


def named_rule(resource: Part) -> str:
    """The Istio object that this was made of, ``name.namespace``, as its metadata says.

    Source: istio's ``filter_metadata.istio.config``, a path of Kubernetes' API.
    """
    config = resource.get("metadata", {}).get("filter_metadata", {}).get("istio", {}).get("config")
    words = str(config or "").split("/")
    return f"{words[-1]}.{words[-3]}" if len(words) > 3 else ""


Rows = Sequence[Sequence[str]]
