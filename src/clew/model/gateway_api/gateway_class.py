"""GatewayClass: which controller provides a Gateway."""

from __future__ import annotations

from clew.model.base import Model, Resource
from clew.model.gateway_api.references import ParametersReference


class GatewayClassSpec(Model, frozen=True, kw_only=True):
    controller_name: str
    parameters_ref: ParametersReference | None = None
    description: str | None = None


class GatewayClass(Resource, frozen=True, kw_only=True):
    spec: GatewayClassSpec
