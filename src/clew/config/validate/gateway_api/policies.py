"""Rules for the Gateway API's ReferenceGrant and its policies for backends."""

from __future__ import annotations

from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding
from clew.config.validate.gateway_api.formats import (
    ABSOLUTE_URI,
    CA_CERTIFICATES,
    GROUP,
    HOSTNAME,
    KIND,
    LABEL_VALUE,
    NAMESPACE,
    OBJECT_NAME,
    PRECISE_HOSTNAME,
    check_count,
    check_label_keys,
    check_length,
    check_number,
    check_text,
)
from clew.config.validate.gateway_api.references import (
    check_named,
    check_placed,
    check_policy_targets,
)
from clew.config.validate.gateway_api.sessions import check_session_persistence
from clew.config.validate.hosts import check_port
from clew.model.duration import Duration
from clew.model.gateway_api.backend import BackendSpec, BackendTLS, BackendTLSMode, XBackend
from clew.model.gateway_api.backend_tls_policy import (
    BackendTLSPolicy,
    BackendTLSPolicyValidation,
    SubjectAltName,
    SubjectAltNameType,
)
from clew.model.gateway_api.backend_traffic_policy import RetryConstraint, XBackendTrafficPolicy
from clew.model.gateway_api.reference_grant import ReferenceGrant, ReferenceGrantSpec

_SECOND, _HOUR = Duration.parse("1s"), Duration.parse("1h")
_NEED_TLS = ("HTTP2", "WSS")


def validate_reference_grant(resource: ReferenceGrant) -> Iterator[Finding]:
    """A grant without a spec is allowed, and grants nothing."""
    if resource.spec == ReferenceGrantSpec(from_=(), to=()):
        return
    path: FieldPath = ("spec", "from")
    yield from check_count(resource.spec.from_, 16, path, least=1)
    for index, who in enumerate(resource.spec.from_):
        yield from check_text(who.group, GROUP, (*path, index, "group"))
        yield from check_text(who.kind, KIND, (*path, index, "kind"))
        yield from check_text(who.namespace, NAMESPACE, (*path, index, "namespace"))
    path = ("spec", "to")
    yield from check_count(resource.spec.to, 16, path, least=1)
    for index, what in enumerate(resource.spec.to):
        yield from check_text(what.group, GROUP, (*path, index, "group"))
        yield from check_text(what.kind, KIND, (*path, index, "kind"))
        yield from check_text(what.name, OBJECT_NAME, (*path, index, "name"))


def validate_backend_tls_policy(resource: BackendTLSPolicy) -> Iterator[Finding]:
    spec = resource.spec
    yield from check_policy_targets(spec.target_refs)
    yield from _check_validation(spec.validation, ("spec", "validation"))
    yield from check_count(spec.options, 16, ("spec", "options"))
    for key, value in spec.options.items():
        yield from check_length(value, 4096, ("spec", "options", key))


def _check_validation(checks: BackendTLSPolicyValidation, path: FieldPath) -> Iterator[Finding]:
    yield from check_text(checks.hostname, PRECISE_HOSTNAME, (*path, "hostname"))
    references: FieldPath = (*path, "caCertificateRefs")
    yield from check_count(checks.ca_certificate_refs, 8, references)
    for index, reference in enumerate(checks.ca_certificate_refs):
        yield from check_named(reference, (*references, index))
    known = checks.well_known_ca_certificates
    yield from check_text(known or None, CA_CERTIFICATES, (*path, "wellKnownCACertificates"))
    if bool(known) == bool(checks.ca_certificate_refs):
        yield Finding(path, "set one of caCertificateRefs and wellKnownCACertificates, not both")
    yield from check_count(checks.subject_alt_names, 5, (*path, "subjectAltNames"))
    for index, name in enumerate(checks.subject_alt_names):
        yield from _check_subject(name, (*path, "subjectAltNames", index))


def _check_subject(name: SubjectAltName, path: FieldPath) -> Iterator[Finding]:
    is_host = name.type is SubjectAltNameType.HOSTNAME
    wanted, other = ("hostname", "uri") if is_host else ("uri", "hostname")
    if not (name.hostname if is_host else name.uri):
        yield Finding(path, f"type {name.type} needs the field {wanted}")
    if name.uri if is_host else name.hostname:
        yield Finding((*path, other), f"type {name.type} has no field {other}")
    yield from check_text(name.hostname or None, HOSTNAME, (*path, "hostname"))
    yield from check_text(name.uri or None, ABSOLUTE_URI, (*path, "uri"))


def validate_backend_traffic_policy(resource: XBackendTrafficPolicy) -> Iterator[Finding]:
    spec = resource.spec
    yield from check_policy_targets(spec.target_refs)
    for index, target in enumerate(spec.target_refs):
        if target.section_name is not None:
            at: FieldPath = ("spec", "targetRefs", index, "sectionName")
            yield Finding(at, "this policy holds for all ports of a backend")
    if spec.retry_constraint is not None:
        yield from _check_retries(spec.retry_constraint, ("spec", "retryConstraint"))
    if spec.session_persistence is not None:
        yield from check_session_persistence(
            spec.session_persistence, ("spec", "sessionPersistence")
        )


def _check_retries(retries: RetryConstraint, path: FieldPath) -> Iterator[Finding]:
    yield from check_number(retries.budget.percent, 0, 100, (*path, "budget", "percent"))
    if not _SECOND <= retries.budget.interval <= _HOUR:
        at = (*path, "budget", "interval")
        yield Finding(at, f"{retries.budget.interval} is not between 1s and 1h")
    rate, at = retries.min_retry_rate, (*path, "minRetryRate")
    yield from check_number(rate.count, 1, 1_000_000, (*at, "count"))
    if rate.interval is not None and not Duration(0) < rate.interval <= _HOUR:
        yield Finding((*at, "interval"), f"{rate.interval} is not more than 0s and at most 1h")


def validate_backend(resource: XBackend) -> Iterator[Finding]:
    spec = resource.spec
    if spec.port.number is None:
        yield Finding(("spec", "port"), 'the field "number" is missing')
    yield from check_port(spec.port.number, ("spec", "port", "number"))
    yield from _check_backend_type(spec)
    yield from _check_backend_protocol(spec)
    if spec.tls is not None:
        yield from _check_backend_tls(spec.tls, ("spec", "tls"))


def _check_backend_type(spec: BackendSpec) -> Iterator[Finding]:
    for kind, field, chosen in (
        ("ExternalHostname", "externalHostname", spec.external_hostname),
        ("EndpointSelector", "endpointSelector", spec.endpoint_selector),
    ):
        if (spec.type == kind) != (chosen is not None):
            wrong = "needs" if chosen is None else "has no"
            yield Finding(("spec",), f"type {spec.type} {wrong} field {field}")
    if spec.external_hostname is not None:
        outside: FieldPath = ("spec", "externalHostname", "hostname")
        yield from check_text(spec.external_hostname.hostname, PRECISE_HOSTNAME, outside)
        if spec.external_hostname.hostname.endswith(".cluster.local"):
            yield Finding(outside, "this host is of the cluster, not outside")
    if spec.endpoint_selector is not None:
        labels, path = spec.endpoint_selector.match_labels, ("spec", "endpointSelector")
        yield from check_count(labels, 64, (*path, "matchLabels"), least=1)
        yield from check_label_keys(labels, (*path, "matchLabels"))
        for key, value in labels.items():
            yield from check_text(value, LABEL_VALUE, (*path, "matchLabels", key))


def _check_backend_protocol(spec: BackendSpec) -> Iterator[Finding]:
    if spec.protocol == "H2C" and spec.tls is not None:
        yield Finding(("spec", "tls"), "protocol H2C has no tls", "use protocol HTTP2")
    if spec.protocol in _NEED_TLS and spec.tls is None:
        yield Finding(("spec", "tls"), f"protocol {spec.protocol} needs tls")


def _check_backend_tls(tls: BackendTLS, path: FieldPath) -> Iterator[Finding]:
    mutual = tls.mode is BackendTLSMode.CLIENT_AND_SERVER
    if mutual != (tls.client_certificate_ref is not None):
        yield Finding(path, "mode ClientAndServer, and no other, has a clientCertificateRef")
    if tls.client_certificate_ref is not None:
        yield from check_placed(tls.client_certificate_ref, (*path, "clientCertificateRef"))
    if tls.validation is not None:
        yield from _check_validation(tls.validation, (*path, "validation"))
