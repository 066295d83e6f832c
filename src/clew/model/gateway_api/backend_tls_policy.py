"""BackendTLSPolicy: how gateways connect to a backend with TLS."""

from __future__ import annotations

from enum import StrEnum

from msgspec import field

from clew.model.base import Model, Resource
from clew.model.gateway_api.references import LocalObjectReference, LocalPolicyTargetReference


class SubjectAltNameType(StrEnum):
    HOSTNAME = "Hostname"
    URI = "URI"


class SubjectAltName(Model, frozen=True, kw_only=True):
    type: SubjectAltNameType
    hostname: str = ""
    uri: str = ""


class BackendTLSPolicyValidation(Model, frozen=True, kw_only=True):
    ca_certificate_refs: tuple[LocalObjectReference, ...] = field(
        default=(), name="caCertificateRefs"
    )
    well_known_ca_certificates: str = field(default="", name="wellKnownCACertificates")
    hostname: str
    subject_alt_names: tuple[SubjectAltName, ...] = ()


class BackendTLSPolicySpec(Model, frozen=True, kw_only=True):
    target_refs: tuple[LocalPolicyTargetReference, ...]
    validation: BackendTLSPolicyValidation
    options: dict[str, str] = {}


class BackendTLSPolicy(Resource, frozen=True, kw_only=True):
    spec: BackendTLSPolicySpec
