"""Node: a machine, for the locality of what runs on it."""

from __future__ import annotations

import msgspec

from clew.model.base import OpenModel, Resource


class NodeSpec(OpenModel, frozen=True, kw_only=True):
    pod_cidr: str = msgspec.field(name="podCIDR", default="")


class NodeAddress(OpenModel, frozen=True, kw_only=True):
    type: str = ""
    address: str = ""


class NodeStatus(OpenModel, frozen=True, kw_only=True):
    addresses: tuple[NodeAddress, ...] = ()


class Node(Resource, frozen=True, kw_only=True):
    spec: NodeSpec = NodeSpec()
    status: NodeStatus | None = None
