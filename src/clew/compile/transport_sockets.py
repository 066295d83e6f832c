"""Transport sockets towards upstreams: plaintext, mesh mTLS and TLS as users configure it."""

from __future__ import annotations

from clew._pb.envoy.config.core.v3.base_pb2 import TransportSocket
from clew._pb.envoy.extensions.transport_sockets.raw_buffer.v3.raw_buffer_pb2 import RawBuffer
from clew._pb.envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
)
from clew._pb.envoy.extensions.transport_sockets.tls.v3.tls_pb2 import (
    CommonTlsContext,
    UpstreamTlsContext,
)
from clew.compile import tls
from clew.compile.secrets import (
    SYSTEM_ROOTS,
    certificate_file_name,
    credential_name,
    roots_file_name,
)
from clew.compile.typed_config import typed_config
from clew.model.destination_rule import ClientTLSMode, ClientTLSSettings
from clew.model.mesh_config import MeshConfig

RAW_BUFFER = TransportSocket(
    name="envoy.transport_sockets.raw_buffer", typed_config=typed_config(RawBuffer())
)


def mesh_upstream_socket(
    sans: tuple[str, ...], sni: str, alpn: tuple[str, ...], mesh: MeshConfig
) -> TransportSocket:
    """Mesh mTLS towards a peer that must be one of ``sans``; ``alpn`` is what we offer."""
    return _tls_socket(tls.mesh_client_context(sans, sni, alpn, mesh))


def client_tls_socket(
    settings: ClientTLSSettings,
    *,
    sans: tuple[str, ...],
    sni: str,
    alpn: tuple[str, ...],
    mesh: MeshConfig,
) -> TransportSocket:
    """The socket of a DestinationRule's ``tls``.

    ``sans`` are the names that the service is known to answer by, ``sni`` is the mesh's own for
    ISTIO_MUTUAL; what the settings say goes first.

    Source: Istio ``ClientTLSSettings``.
    """
    match settings.mode:
        case ClientTLSMode.ISTIO_MUTUAL:
            accepted = settings.subject_alt_names or sans
            return mesh_upstream_socket(accepted, settings.sni or sni, alpn, mesh)
        case ClientTLSMode.SIMPLE | ClientTLSMode.MUTUAL:
            context = CommonTlsContext(tls_params=tls.default_parameters(mesh), alpn_protocols=alpn)
            _present_client_certificate(context, settings)
            _verify_server(context, settings, settings.subject_alt_names or sans)
            return _tls_socket(UpstreamTlsContext(common_tls_context=context, sni=settings.sni))
        case _:
            return RAW_BUFFER


def _tls_socket(context: UpstreamTlsContext) -> TransportSocket:
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=typed_config(context))


def _present_client_certificate(context: CommonTlsContext, settings: ClientTLSSettings) -> None:
    if settings.mode != ClientTLSMode.MUTUAL:
        return
    if settings.credential_name:
        secret = tls.sds_stream(credential_name(settings.credential_name))
        context.tls_certificate_sds_secret_configs.append(secret)
    elif settings.client_certificate:
        name = certificate_file_name(settings.client_certificate, settings.private_key)
        context.tls_certificate_sds_secret_configs.append(tls.sds_stream(name))


def _verify_server(
    context: CommonTlsContext, settings: ClientTLSSettings, sans: tuple[str, ...]
) -> None:
    # Without a validation context Envoy accepts any certificate.
    if settings.insecure_skip_verify:
        return
    validation = CertificateValidationContext(
        match_typed_subject_alt_names=tls.any_type_matchers(sans)
    )
    if settings.credential_name and settings.ca_certificates != SYSTEM_ROOTS:
        _verify_by_secret(
            context, validation, credential_name(settings.credential_name) + "-cacert"
        )
        return
    if settings.ca_crl:
        validation.crl.filename = settings.ca_crl
    _verify_by_secret(
        context, validation, roots_file_name(settings.ca_certificates or SYSTEM_ROOTS)
    )


def _verify_by_secret(
    context: CommonTlsContext, validation: CertificateValidationContext, secret: str
) -> None:
    combined = context.combined_validation_context
    combined.default_validation_context.CopyFrom(validation)
    combined.validation_context_sds_secret_config.CopyFrom(tls.sds_stream(secret))
