"""A listener's TLS as the settings of an Istio server."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from clew.model.gateway import ServerTLSMode, ServerTLSSettings
from clew.model.gateway_api.gateway import (
    FrontendTLSValidation,
    FrontendValidationMode,
    KubernetesGateway,
)
from clew.model.gateway_api.listener import Listener, TLSModeType
from clew.snapshot.gateway_api.certificates import (
    NOT_PERMITTED,
    certificate_reference,
    roots_reference,
)
from clew.snapshot.gateway_api.conditions import Problem
from clew.snapshot.gateway_api.grants import Referrer
from clew.snapshot.gateway_api.sources import Sources

_TERMINATE_MODE = "gateway.istio.io/tls-terminate-mode"
_CIPHER_SUITES = "gateway.istio.io/tls-cipher-suites"
_MODES = {
    "MUTUAL": ServerTLSMode.MUTUAL,
    "OPTIONAL_MUTUAL": ServerTLSMode.OPTIONAL_MUTUAL,
    "ISTIO_MUTUAL": ServerTLSMode.ISTIO_MUTUAL,
}
_BUILT_IN = "builtin://"
_MOST_CERTIFICATES = 2
_CROSS_NETWORK_PORT = 15443
# Source: istio ``security.ValidCipherSuites``.
_SUITES = frozenset(
    "ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-ECDSA-AES128-GCM-SHA256 "
    "ECDHE-RSA-AES128-GCM-SHA256 AES256-GCM-SHA384 AES128-GCM-SHA256 ECDHE-ECDSA-CHACHA20-POLY1305 "
    "ECDHE-RSA-CHACHA20-POLY1305 [ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305] "
    "[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305] ECDHE-ECDSA-AES128-SHA "
    "ECDHE-RSA-AES128-SHA ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES256-SHA AES128-SHA AES256-SHA "
    "DES-CBC3-SHA".split()
)


@dataclass(frozen=True, slots=True)
class ListenerTLS:
    """``settings`` are None without TLS. ``of_clients``: the problem is how to verify clients."""

    settings: ServerTLSSettings | None = None
    problem: Problem | None = None
    of_clients: bool = False

    @property
    def refuses_listener(self) -> bool:
        """Whether the listener is not accepted either."""
        return self.problem is not None and (
            self.of_clients or self.problem.reason == NOT_PERMITTED
        )


def listener_tls(
    listener: Listener, gateway: KubernetesGateway, owner: Referrer, sources: Sources
) -> ListenerTLS:
    """Return how a listener ends TLS, or passes it on. ``owner``: who names the certificates.

    Source: istio ``buildTLS``.
    """
    declared = listener.tls
    if declared is None:
        return ListenerTLS()
    suites = tuple(
        suite
        for text in declared.options.get(_CIPHER_SUITES, "").split(",")
        if (suite := text.strip()) in _SUITES
    )
    if declared.mode is TLSModeType.PASSTHROUGH:
        crosses = _crosses_networks(listener, gateway)
        mode = ServerTLSMode.AUTO_PASSTHROUGH if crosses else ServerTLSMode.PASSTHROUGH
        return ListenerTLS(ServerTLSSettings(mode=mode, cipher_suites=suites))
    terminating = _terminating(listener, gateway, owner, sources)
    if terminating.settings is None or not suites:
        return terminating
    settings = msgspec.structs.replace(terminating.settings, cipher_suites=suites)
    return replace(terminating, settings=settings)


def _crosses_networks(listener: Listener, gateway: KubernetesGateway) -> bool:
    """Tell whether this is where other networks come in. Source: istio ``IsAutoPassthrough``."""
    labels = gateway.metadata.labels
    if "topology.istio.io/network" not in labels:
        return False
    port = labels.get("networking.istio.io/gatewayPort", str(_CROSS_NETWORK_PORT))
    return str(listener.port) == port


def _terminating(
    listener: Listener, gateway: KubernetesGateway, owner: Referrer, sources: Sources
) -> ListenerTLS:
    assert listener.tls is not None
    wanted = listener.tls.options.get(_TERMINATE_MODE, "")
    mode = _MODES.get(wanted, ServerTLSMode.SIMPLE)
    if mode is ServerTLSMode.ISTIO_MUTUAL:
        return ListenerTLS(ServerTLSSettings(mode=mode))
    if wanted == "ISTIO_SIMPLE":
        return ListenerTLS(ServerTLSSettings(mode=mode, credential_name=_BUILT_IN))
    references = listener.tls.certificate_refs
    if not 1 <= len(references) <= _MOST_CERTIFICATES:
        text = "exactly 1 or 2 certificateRefs should be present for TLS termination"
        return ListenerTLS(problem=Problem("Invalid", text))
    names: list[str] = []
    for reference in references:
        found = certificate_reference(reference, owner, sources)
        if isinstance(found, Problem):
            return ListenerTLS(problem=found)
        names.append(found)
    settings = ServerTLSSettings(
        mode=mode,
        credential_name=names[0] if len(names) == 1 else "",
        credential_names=tuple(names) if len(names) > 1 else (),
    )
    validation = _validation(listener, gateway)
    if validation is None:
        return ListenerTLS(settings)
    return _verifying(settings, validation, gateway, sources)


def _validation(listener: Listener, gateway: KubernetesGateway) -> FrontendTLSValidation | None:
    frontend = gateway.spec.tls.frontend if gateway.spec.tls else None
    if frontend is None:
        return None
    for port in frontend.per_port:
        if port.port == listener.port:
            return port.tls.validation
    return frontend.default.validation


def _verifying(
    settings: ServerTLSSettings,
    validation: FrontendTLSValidation,
    gateway: KubernetesGateway,
    sources: Sources,
) -> ListenerTLS:
    """Verify clients. Their authorities are the Gateway's to name, whoever's listener it is."""
    if len(validation.ca_certificate_refs) != 1:
        text = "only one caCertificateRef is supported"
        return _clients(Problem("InvalidCACertificateRef", text))
    owner = Referrer("gateway.networking.k8s.io", "Gateway", gateway.metadata.namespace)
    roots = roots_reference(validation.ca_certificate_refs[0], owner, sources)
    if isinstance(roots, Problem):
        return _clients(roots)
    lenient = validation.mode is FrontendValidationMode.ALLOW_INSECURE_FALLBACK
    mode = settings.mode
    if mode is ServerTLSMode.SIMPLE:
        mode = ServerTLSMode.OPTIONAL_MUTUAL if lenient else ServerTLSMode.MUTUAL
    return ListenerTLS(
        msgspec.structs.replace(
            settings, mode=mode, ca_cert_credential_name=roots, insecure_skip_verify=lenient
        )
    )


def _clients(problem: Problem) -> ListenerTLS:
    return ListenerTLS(problem=problem, of_clients=True)
