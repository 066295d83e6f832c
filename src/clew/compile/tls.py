"""TLS contexts: the mesh's own mTLS, and the certificates that users name."""

from __future__ import annotations

from collections.abc import Iterable

from clew._pb.envoy.config.core.v3.base_pb2 import WatchedDirectory
from clew._pb.envoy.config.core.v3.config_source_pb2 import (
    AggregatedConfigSource,
    ApiVersion,
    ConfigSource,
    PathConfigSource,
)
from clew._pb.envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    SubjectAltNameMatcher,
    TlsParameters,
)
from clew._pb.envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig
from clew._pb.envoy.extensions.transport_sockets.tls.v3.tls_pb2 import (
    CommonTlsContext,
    DownstreamTlsContext,
    UpstreamTlsContext,
)
from clew._pb.envoy.type.matcher.v3.string_pb2 import StringMatcher
from clew.model import names
from clew.model.mesh_config import MeshConfig

HTTP_ALPN = ("h2", "http/1.1")
HTTP3_ALPN = ("h3",)

# Source: Istio's defaults for meshMTLS; TLS 1.3 has its own fixed suites.
CIPHER_SUITES = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
)

# Relative to the agent's private directory, in which Envoy is started: the compiler must not know
# where that is, and all proxies of a scope share the bytes.
_SDS_DIRECTORY = "./sds"
_SDS_FILES = {names.WORKLOAD_CERTIFICATE: "default.json", names.ROOT_CERTIFICATE: "rootca.json"}


def sds_file(name: str) -> SdsSecretConfig:
    """The SDS secret ``name`` (``default`` or ``ROOTCA``), from the file that the agent rotates."""
    path = PathConfigSource(
        path=f"{_SDS_DIRECTORY}/{_SDS_FILES[name]}",
        watched_directory=WatchedDirectory(path=_SDS_DIRECTORY),
    )
    source = ConfigSource(path_config_source=path, resource_api_version=ApiVersion.V3)
    return SdsSecretConfig(name=name, sds_config=source)


_CERTIFICATE, _ROOTS = sds_file(names.WORKLOAD_CERTIFICATE), sds_file(names.ROOT_CERTIFICATE)


def sds_stream(name: str) -> SdsSecretConfig:
    """The SDS secret ``name`` from the control plane."""
    source = ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)
    return SdsSecretConfig(name=name, sds_config=source)


def trust_domains(mesh: MeshConfig) -> tuple[str, ...]:
    """The trust domains whose identities this mesh accepts: its own, aliases, those of its CAs."""
    of_authorities = (domain for ca in mesh.ca_certificates for domain in ca.trust_domains)
    return tuple(dict.fromkeys((mesh.trust_domain, *mesh.trust_domain_aliases, *of_authorities)))


def mesh_server_context(mesh: MeshConfig) -> DownstreamTlsContext:
    """Mesh mTLS, server side: a peer needs a certificate of one of our trust domains.

    It selects ``h2`` or ``http/1.1`` only. Were it to select ``istio``, which clients offer for
    filter chains to match, Envoy's HTTP codec would no longer recognise HTTP/2.
    """
    prefixes = (StringMatcher(prefix=f"spiffe://{domain}/") for domain in trust_domains(mesh))
    context = DownstreamTlsContext(common_tls_context=_mesh_context(mesh, prefixes, HTTP_ALPN))
    context.require_client_certificate.value = True
    return context


def mesh_client_context(
    sans: Iterable[str], sni: str, alpn: Iterable[str], mesh: MeshConfig
) -> UpstreamTlsContext:
    """Mesh mTLS, client side: the peer must present one of ``sans`` (any identity if empty)."""
    exact = (StringMatcher(exact=san) for san in sans)
    return UpstreamTlsContext(common_tls_context=_mesh_context(mesh, exact, alpn), sni=sni)


def tls_parameters(minimum: str, maximum: str, ciphers: Iterable[str]) -> TlsParameters:
    """TLS versions by Istio's names (``TLSV1_2``), 1.2 to 1.3 when not given.

    The maximum is always set, because an Envoy client would stop at 1.2.
    """
    return TlsParameters(
        tls_minimum_protocol_version=_VERSIONS.get(minimum, TlsParameters.TLSv1_2),
        tls_maximum_protocol_version=_VERSIONS.get(maximum, TlsParameters.TLSv1_3),
        cipher_suites=ciphers,
    )


def default_parameters(mesh: MeshConfig) -> TlsParameters:
    """What holds for TLS that is not the mesh's own, unless users say otherwise.

    Source: Istio ``MeshConfig.tlsDefaults``.
    """
    defaults = mesh.tls_defaults
    parameters = tls_parameters(
        defaults.min_protocol_version or "" if defaults else "",
        "",
        defaults.cipher_suites if defaults else (),
    )
    if defaults:
        parameters.ecdh_curves.extend(defaults.ecdh_curves)
    return parameters


def uri_matchers(matchers: Iterable[StringMatcher]) -> list[SubjectAltNameMatcher]:
    return [SubjectAltNameMatcher(san_type=SubjectAltNameMatcher.URI, matcher=m) for m in matchers]


def any_type_matchers(sans: Iterable[str]) -> list[SubjectAltNameMatcher]:
    """Matchers of names that may be DNS names, URIs or IP addresses, as users write them."""
    types = (
        SubjectAltNameMatcher.URI,
        SubjectAltNameMatcher.DNS,
        SubjectAltNameMatcher.IP_ADDRESS,
    )
    return [
        SubjectAltNameMatcher(san_type=san_type, matcher=StringMatcher(exact=san))
        for san in sans
        for san_type in types
    ]


def _mesh_context(
    mesh: MeshConfig, peers: Iterable[StringMatcher], alpn: Iterable[str]
) -> CommonTlsContext:
    settings = mesh.mesh_mtls
    context = CommonTlsContext(
        tls_params=tls_parameters(
            settings.min_protocol_version or "" if settings else "",
            "",
            (settings.cipher_suites if settings else ()) or CIPHER_SUITES,
        ),
        tls_certificate_sds_secret_configs=[_CERTIFICATE],
        alpn_protocols=alpn,
    )
    combined = context.combined_validation_context
    combined.default_validation_context.CopyFrom(
        CertificateValidationContext(match_typed_subject_alt_names=uri_matchers(peers))
    )
    combined.validation_context_sds_secret_config.CopyFrom(_ROOTS)
    return context


_VERSIONS = {
    "TLSV1_0": TlsParameters.TLSv1_0,
    "TLSV1_1": TlsParameters.TLSv1_1,
    "TLSV1_2": TlsParameters.TLSv1_2,
    "TLSV1_3": TlsParameters.TLSv1_3,
}


def version(name: str | None) -> TlsParameters.TlsProtocol:
    """A TLS version by Istio's name for it."""
    return _VERSIONS.get(name or "", TlsParameters.TLS_AUTO)
