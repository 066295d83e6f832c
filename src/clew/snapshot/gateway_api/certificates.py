"""Certificates that listeners, policies and Gateways name: whether they can be used."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from clew.model.config_map import ConfigMap
from clew.model.gateway_api.gateway import KubernetesGateway
from clew.model.gateway_api.references import (
    GATEWAY_GROUP,
    ObjectReference,
    SecretObjectReference,
)
from clew.model.secret import Secret
from clew.snapshot.gateway_api.conditions import Problem
from clew.snapshot.gateway_api.grants import Referrer, Target
from clew.snapshot.gateway_api.sources import Sources

SECRET_REFERENCE = "kubernetes-gateway://"
CONFIG_MAP_REFERENCE = "configmap://"
ROOTS_SUFFIX = "-cacert"
NOT_PERMITTED = "RefNotPermitted"


def certificate_reference(
    reference: SecretObjectReference, referrer: Referrer, sources: Sources
) -> str | Problem:
    """Return the name by which proxies get a server's certificate, or why there is none.

    Permission comes first, so that nobody learns what exists in a namespace that is not open.
    """
    namespace = reference.namespace or referrer.namespace
    if (reference.group, reference.kind) != ("", "Secret"):
        return Problem(
            "InvalidCertificateRef",
            f"invalid certificate reference {_shown(reference)}, only secret is allowed",
        )
    target = Target("", "Secret", namespace, reference.name)
    if not sources.grants.allow(referrer, target):
        return Problem(
            NOT_PERMITTED,
            f"certificateRef {reference.name}/{namespace} not accessible to a {referrer.kind} "
            f'in namespace "{referrer.namespace}" (missing a ReferenceGrant?)',
        )
    secret = sources.secret(reference.name, namespace)
    if secret is None:
        why = f"secret {namespace}/{reference.name} not found"
    else:
        why = _key_pair_problem(secret)
    if why:
        text = f"invalid certificate reference {_shown(reference)}, {why}"
        return Problem("InvalidCertificateRef", text)
    return f"{SECRET_REFERENCE}{namespace}/{reference.name}"


def client_certificate(gateway: KubernetesGateway, sources: Sources) -> str | Problem:
    """Return the name by which proxies get what they present to backends, or why there is none;
    "" if none is wanted.
    """
    tls = gateway.spec.tls
    reference = tls.backend.client_certificate_ref if tls and tls.backend else None
    if reference is None:
        return ""
    referrer = Referrer(GATEWAY_GROUP, "Gateway", gateway.metadata.namespace)
    found = certificate_reference(reference, referrer, sources)
    if isinstance(found, Problem) and found.reason == "InvalidCertificateRef":
        return Problem("InvalidClientCertificateRef", found.message)
    return found


def roots_reference(
    reference: ObjectReference, referrer: Referrer, sources: Sources
) -> str | Problem:
    """Return the name by which proxies get what they verify clients by, or why there is none."""
    namespace, kind = reference.namespace or referrer.namespace, reference.kind
    shown = f"invalid CA certificate reference {_shown(reference)}"
    if reference.group != "" or kind not in ("Secret", "ConfigMap"):
        text = f"{shown}, only secret and configmap are allowed"
        return Problem("InvalidCACertificateKind", text)
    if not sources.grants.allow(referrer, Target("", kind, namespace, reference.name)):
        return Problem(
            NOT_PERMITTED,
            f"caCertificateRef {namespace}/{reference.name} not accessible to a {referrer.kind} "
            f'in namespace "{referrer.namespace}" (missing a ReferenceGrant?)',
        )
    look_up = sources.secret if kind == "Secret" else sources.config_map
    found = look_up(reference.name, namespace)
    if found is None:
        why = f"{kind.lower()} {namespace}/{reference.name} not found"
    else:
        why = roots_problem(found)
    if why:
        return Problem("InvalidCACertificateRef", f"{shown}, {why}")
    scheme = SECRET_REFERENCE if kind == "Secret" else CONFIG_MAP_REFERENCE
    return f"{scheme}{namespace}/{reference.name}{ROOTS_SUFFIX}"


def roots_problem(holder: Secret | ConfigMap) -> str:
    """Return why the roots of a Secret or ConfigMap cannot be used, "" if they can."""
    text = _value(holder, "ca.crt", "cacert")
    if not text:
        return "the CA certificate is missing: there is no key ca.crt"
    return _roots_text_problem(text)


@lru_cache(maxsize=4096)
def _roots_text_problem(text: bytes) -> str:
    try:
        x509.load_pem_x509_certificates(text)
    except ValueError as error:
        return f"the CA certificate is malformed: {error}"
    return ""


def _key_pair_problem(secret: Secret) -> str:
    return _pair_problem(_value(secret, "tls.crt", "cert"), _value(secret, "tls.key", "key"))


@lru_cache(maxsize=4096)
def _pair_problem(certificate: bytes, key: bytes) -> str:
    try:
        leaf = x509.load_pem_x509_certificates(certificate)[0]
        private = load_pem_private_key(key, password=None)
    except (ValueError, TypeError) as error:
        return f"the certificate is malformed: {error}"
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*form) != private.public_key().public_bytes(*form):
        return "the certificate is malformed: its private key belongs to another one"
    return ""


def _value(holder: Secret | ConfigMap, *keys: str) -> bytes:
    """Return the first of these keys that it has, decoded; nothing if it cannot be."""
    if isinstance(holder, ConfigMap):
        plain: Mapping[str, str] = holder.data
        coded: Mapping[str, str] = holder.binary_data
    else:
        plain, coded = holder.string_data, holder.data
    for key in keys:
        if key in plain:
            return plain[key].encode()
        if key in coded:
            try:
                return b64decode(coded[key])
            except ValueError:
                return b""
    return b""


def _shown(reference: SecretObjectReference | ObjectReference) -> str:
    return f"{reference.group}/{reference.kind}/{reference.name}.{reference.namespace or ''}"
