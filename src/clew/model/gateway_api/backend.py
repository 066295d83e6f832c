"""XBackend: a backend that is no Service. Experimental."""

from __future__ import annotations

from enum import StrEnum

from clew.model.base import Model, Resource
from clew.model.gateway_api.backend_tls_policy import BackendTLSPolicyValidation
from clew.model.gateway_api.references import SecretObjectReference


class BackendType(StrEnum):
    EXTERNAL_HOSTNAME = "ExternalHostname"
    ENDPOINT_SELECTOR = "EndpointSelector"


class BackendProtocol(StrEnum):
    TCP = "TCP"
    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    HTTP11 = "HTTP11"
    H2C = "H2C"
    MCP = "MCP"
    GRPC = "GRPC"
    WSS = "WSS"


class BackendTLSMode(StrEnum):
    NONE = "None"
    SERVER_ONLY = "ServerOnly"
    CLIENT_AND_SERVER = "ClientAndServer"


class BackendPort(Model, frozen=True, kw_only=True):
    number: int | None = None


class ExternalHostnameBackend(Model, frozen=True, kw_only=True):
    hostname: str


class EndpointSelectorBackend(Model, frozen=True, kw_only=True):
    match_labels: dict[str, str]


class BackendTLS(Model, frozen=True, kw_only=True):
    mode: BackendTLSMode
    client_certificate_ref: SecretObjectReference | None = None
    validation: BackendTLSPolicyValidation | None = None


class BackendSpec(Model, frozen=True, kw_only=True):
    """``type`` names the one of ``external_hostname`` and ``endpoint_selector`` that is set."""

    type: BackendType
    port: BackendPort
    external_hostname: ExternalHostnameBackend | None = None
    endpoint_selector: EndpointSelectorBackend | None = None
    protocol: BackendProtocol | None = None
    tls: BackendTLS | None = None


class XBackend(Resource, frozen=True, kw_only=True):
    spec: BackendSpec
