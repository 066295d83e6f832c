"""ListenerSet: more listeners for a Gateway, owned by somebody else."""

from __future__ import annotations

from clew.model.base import Model, Resource
from clew.model.gateway_api.listener import Listener
from clew.model.gateway_api.references import ParentGatewayReference


class ListenerSetSpec(Model, frozen=True, kw_only=True):
    parent_ref: ParentGatewayReference
    listeners: tuple[Listener, ...]


class ListenerSet(Resource, frozen=True, kw_only=True):
    spec: ListenerSetSpec
