"""TLS that ends at a proxy: the mesh's own, and that of users' servers over TCP and QUIC."""

from __future__ import annotations

from collections.abc import Iterable

from clew._pb.envoy.config.core.v3.base_pb2 import DataSource, TransportSocket
from clew._pb.envoy.extensions.transport_sockets.quic.v3.quic_transport_pb2 import (
    QuicDownstreamTransport,
)
from clew._pb.envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    TlsParameters,
)
from clew._pb.envoy.extensions.transport_sockets.tls.v3.tls_pb2 import (
    CommonTlsContext,
    DownstreamTlsContext,
)
from clew.compile import tls
from clew.compile.secrets import certificate_names, roots_name
from clew.compile.typed_config import typed_config
from clew.model.gateway import ServerTLSMode, ServerTLSSettings, TLSProtocol
from clew.model.mesh_config import MeshConfig

_CIPHER_SUITES = frozenset(
    {
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-PSK-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-RSA-AES128-SHA",
        "ECDHE-PSK-AES128-CBC-SHA",
        "ECDHE-ECDSA-AES256-SHA",
        "ECDHE-RSA-AES256-SHA",
        "ECDHE-PSK-AES256-CBC-SHA",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
        "AES128-SHA",
        "AES256-SHA",
        "PSK-AES128-CBC-SHA",
        "PSK-AES256-CBC-SHA",
        "DES-CBC3-SHA",
    }
)
_CURVES = frozenset({"P-256", "P-384", "P-521", "X25519", "X25519MLKEM768"})
_VERIFYING = (ServerTLSMode.MUTUAL, ServerTLSMode.OPTIONAL_MUTUAL)


def mesh_downstream_socket(mesh: MeshConfig) -> TransportSocket:
    """Mesh mTLS from peers of our trust domains."""
    return _tls_socket(tls.mesh_server_context(mesh))


def server_tls_socket(
    settings: ServerTLSSettings, mesh: MeshConfig, *, http: bool
) -> TransportSocket | None:
    """The socket with which a server ends TLS; None when it passes TLS through.

    ``http``: that is inside, so clients may choose its version by ALPN.

    Source: Istio ``ServerTLSSettings`` and ``BuildListenerTLSContext``.
    """
    if settings.mode in (ServerTLSMode.PASSTHROUGH, ServerTLSMode.AUTO_PASSTHROUGH):
        return None
    return _tls_socket(_server_context(settings, mesh, tls.HTTP_ALPN if http else ()))


def quic_socket(settings: ServerTLSSettings, mesh: MeshConfig) -> TransportSocket:
    """The same for HTTP/3."""
    transport = QuicDownstreamTransport(
        downstream_tls_context=_server_context(settings, mesh, tls.HTTP3_ALPN)
    )
    return TransportSocket(
        name="envoy.transport_sockets.quic", typed_config=typed_config(transport)
    )


def _tls_socket(context: DownstreamTlsContext) -> TransportSocket:
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=typed_config(context))


def _server_context(
    settings: ServerTLSSettings, mesh: MeshConfig, alpn: Iterable[str]
) -> DownstreamTlsContext:
    if settings.mode is ServerTLSMode.ISTIO_MUTUAL:
        return _mesh_context(settings, mesh, alpn)
    context = CommonTlsContext(
        tls_params=_parameters(settings, tls.default_parameters(mesh)),
        alpn_protocols=alpn,
        tls_certificate_sds_secret_configs=map(tls.sds_stream, certificate_names(settings)),
    )
    server = DownstreamTlsContext(common_tls_context=context)
    if settings.mode in _VERIFYING:
        _verify_clients(server.common_tls_context, settings)
        server.require_client_certificate.value = settings.mode is ServerTLSMode.MUTUAL
    return server


def _mesh_context(
    settings: ServerTLSSettings, mesh: MeshConfig, alpn: Iterable[str]
) -> DownstreamTlsContext:
    """Mesh mTLS at a gateway: of any identity that the mesh's roots vouch for, unless named."""
    server = tls.mesh_server_context(mesh)
    context = server.common_tls_context
    context.tls_params.CopyFrom(_parameters(settings, context.tls_params))
    context.alpn_protocols[:] = alpn
    validation = context.combined_validation_context.default_validation_context
    validation.CopyFrom(_validation(settings))
    return server


def _parameters(settings: ServerTLSSettings, defaults: TlsParameters) -> TlsParameters:
    """What the settings say, and ``defaults`` for what they do not.

    Names that Envoy does not know are left out, as it would refuse the whole listener for one.
    """
    parameters = TlsParameters()
    parameters.CopyFrom(defaults)
    if settings.min_protocol_version not in (None, TLSProtocol.TLS_AUTO):
        parameters.tls_minimum_protocol_version = tls.version(settings.min_protocol_version)
    if settings.max_protocol_version not in (None, TLSProtocol.TLS_AUTO):
        parameters.tls_maximum_protocol_version = tls.version(settings.max_protocol_version)
    if suites := _known(settings.cipher_suites, _CIPHER_SUITES):
        parameters.cipher_suites[:] = suites
    if curves := _known(settings.ecdh_curves, _CURVES):
        parameters.ecdh_curves[:] = curves
    return parameters


def _known(declared: Iterable[str], known: frozenset[str]) -> list[str]:
    return [name for name in dict.fromkeys(declared) if name in known]


def _validation(settings: ServerTLSSettings) -> CertificateValidationContext:
    validation = CertificateValidationContext(
        match_typed_subject_alt_names=tls.any_type_matchers(settings.subject_alt_names),
        verify_certificate_spki=settings.verify_certificate_spki,
        verify_certificate_hash=settings.verify_certificate_hash,
    )
    if settings.ca_crl:
        validation.crl.CopyFrom(DataSource(filename=settings.ca_crl))
    if settings.insecure_skip_verify:
        validation.trust_chain_verification = CertificateValidationContext.ACCEPT_UNTRUSTED
    return validation


def _verify_clients(context: CommonTlsContext, settings: ServerTLSSettings) -> None:
    roots = roots_name(settings)
    if not roots:
        context.validation_context.CopyFrom(_validation(settings))
        return
    combined = context.combined_validation_context
    combined.default_validation_context.CopyFrom(_validation(settings))
    combined.validation_context_sds_secret_config.CopyFrom(tls.sds_stream(roots))
