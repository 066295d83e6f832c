import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.struct_pb2 import Struct

from clew._pb.istio.v1.auth.ca_pb2 import IstioCertificateRequest, IstioCertificateResponse
from clew.agent.certificates import signing_request
from clew.ca.authority import Authority, pem
from clew.ca.keys import load_or_create
from clew.server.csr import CertificateService
from clew.server.mtls import SERVER_NAMES, ServingCertificate
from tests.server.serving import serving
from tests.server.workload import Workload, call_options, workload

CREATE = "/istio.v1.auth.IstioCertificateService/CreateCertificate"


def authority_in(directory: Path) -> Authority:
    return load_or_create(directory / "ca", "cluster.local", now=datetime.now(UTC))


@asynccontextmanager
async def service(
    authority: Authority, address: str, *, certificates_required: bool
) -> AsyncIterator[None]:
    csr = CertificateService(
        lambda: authority,
        lambda: ("cluster.local", "old.domain"),
        trust_claims=not certificates_required,
    )
    certificate = ServingCertificate(lambda: authority, "cluster.local")
    context = certificate.mutual if certificates_required else None
    async with serving(address, csr.methods(), context):
        yield


async def ask(
    address: str, metadata: dict[str, str], caller: Workload | None = None, csr: str = ""
) -> list[x509.Certificate]:
    struct = Struct()
    struct.update(metadata)
    key = ec.generate_private_key(ec.SECP256R1())
    request = IstioCertificateRequest(
        csr=csr or signing_request(key, "spiffe://any"), validity_duration=3600, metadata=struct
    )
    channel = (
        grpc.aio.insecure_channel(address)
        if caller is None
        else grpc.aio.secure_channel(address, caller.credentials(), options=call_options())
    )
    async with channel:
        create = channel.unary_unary(
            CREATE,
            request_serializer=IstioCertificateRequest.SerializeToString,
            response_deserializer=IstioCertificateResponse.FromString,
        )
        response = await create(request, timeout=10)
    return [x509.load_pem_x509_certificate(text.encode()) for text in response.cert_chain]


def identity_of(certificate: x509.Certificate) -> str:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return str(names.get_values_for_type(x509.UniformResourceIdentifier)[0])


REVIEWS = {"namespace": "default", "serviceAccount": "bookinfo-reviews"}


def test_the_owner_of_the_mesh_gets_the_identity_that_it_names(tmp_path: Path) -> None:
    async def scenario() -> None:
        authority, address = authority_in(tmp_path), f"unix:{tmp_path}/ca.sock"
        async with service(authority, address, certificates_required=False):
            assert (tmp_path / "ca.sock").stat().st_mode & 0o777 == 0o600
            leaf, intermediate, root = await ask(address, REVIEWS)
            assert identity_of(leaf) == "spiffe://cluster.local/ns/default/sa/bookinfo-reviews"
            assert pem(root) == pem(authority.root)
            leaf.verify_directly_issued_by(intermediate)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "metadata", [{}, {"namespace": "default"}, {**REVIEWS, "namespace": "a/sa/b"}]
)
def test_names_that_are_none_are_refused(tmp_path: Path, metadata: dict[str, str]) -> None:
    async def scenario() -> None:
        address = f"unix:{tmp_path}/ca.sock"
        async with service(authority_in(tmp_path), address, certificates_required=False):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await ask(address, metadata)
        assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    asyncio.run(scenario())


def test_a_malformed_request_is_refused_with_the_reason(tmp_path: Path) -> None:
    async def scenario() -> None:
        address = f"unix:{tmp_path}/ca.sock"
        async with service(authority_in(tmp_path), address, certificates_required=False):
            with pytest.raises(grpc.aio.AioRpcError, match="not a PEM certificate signing request"):
                await ask(address, REVIEWS, csr="nonsense")

    asyncio.run(scenario())


def test_a_certificate_renews_itself_and_nothing_else(tmp_path: Path) -> None:
    async def scenario() -> None:
        authority, address = authority_in(tmp_path), f"unix:{tmp_path}/xds.sock"
        caller = workload(authority, "default", "bookinfo-reviews")
        async with service(authority, address, certificates_required=True):
            for metadata in ({}, REVIEWS):
                leaf, *_ = await ask(address, metadata, caller)
                assert identity_of(leaf) == "spiffe://cluster.local/ns/default/sa/bookinfo-reviews"
            with pytest.raises(grpc.aio.AioRpcError, match="may only renew") as refusal:
                await ask(address, {**REVIEWS, "serviceAccount": "admin"}, caller)
            assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED

    asyncio.run(scenario())


def test_a_certificate_of_another_mesh_gets_no_connection(tmp_path: Path) -> None:
    async def scenario() -> None:
        authority, address = authority_in(tmp_path), f"unix:{tmp_path}/xds.sock"
        stranger = workload(authority_in(tmp_path / "other"), "default", "bookinfo-reviews")
        caller = Workload(stranger.key, stranger.chain, pem(authority.root))
        async with service(authority, address, certificates_required=True):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await ask(address, {}, caller)
            assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE

    asyncio.run(scenario())


def proxies_of(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)


def test_a_certificate_names_the_proxy_that_it_is_for_and_keeps_to_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        authority, address = authority_in(tmp_path), f"unix:{tmp_path}/ca.sock"
        async with service(authority, address, certificates_required=False):
            leaf, *_ = await ask(address, {**REVIEWS, "proxy": "reviews-v1-0"})
            assert proxies_of(leaf) == ["reviews-v1-0.default.proxy"]
            leaf, *_ = await ask(address, REVIEWS)
            assert proxies_of(leaf) == []
        address = f"unix:{tmp_path}/xds.sock"
        caller = workload(authority, "default", "bookinfo-reviews", "reviews-v1-0")
        async with service(authority, address, certificates_required=True):
            for metadata in ({}, {**REVIEWS, "proxy": "reviews-v1-0"}):
                leaf, *_ = await ask(address, metadata, caller)
                assert proxies_of(leaf) == ["reviews-v1-0.default.proxy"]
            with pytest.raises(grpc.aio.AioRpcError, match="may only renew its own"):
                await ask(address, {**REVIEWS, "proxy": "reviews-v1-1"}, caller)

    asyncio.run(scenario())


def test_no_proxy_can_have_a_name_of_the_control_plane(tmp_path: Path) -> None:
    async def scenario() -> None:
        authority, address = authority_in(tmp_path), f"unix:{tmp_path}/ca.sock"
        claim = {"namespace": "svc", "serviceAccount": "default", "proxy": "istiod.istio-system"}
        async with service(authority, address, certificates_required=False):
            leaf, *_ = await ask(address, claim)
        assert not set(proxies_of(leaf)) & set(SERVER_NAMES)

    asyncio.run(scenario())


def test_a_certificate_of_an_alias_is_renewed_in_the_mesh_s_own_trust_domain(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        authority, address = authority_in(tmp_path), f"unix:{tmp_path}/xds.sock"
        caller = workload(authority, "default", "default", "a", trust_domain="old.domain")
        stranger = workload(authority, "default", "default", "a", trust_domain="other.domain")
        async with service(authority, address, certificates_required=True):
            leaf, *_ = await ask(address, {}, caller)
            assert identity_of(leaf) == "spiffe://cluster.local/ns/default/sa/default"
            with pytest.raises(grpc.aio.AioRpcError, match="may only renew") as refusal:
                await ask(address, {}, stranger)
            assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED

    asyncio.run(scenario())


def test_nobody_gets_the_certificate_of_another_identity(tmp_path: Path) -> None:
    async def scenario() -> None:
        authority, address = authority_in(tmp_path), f"unix:{tmp_path}/ca.sock"
        asked = {**REVIEWS, "ImpersonatedIdentity": "spiffe://cluster.local/ns/default/sa/a"}
        async with service(authority, address, certificates_required=False):
            with pytest.raises(grpc.aio.AioRpcError, match="of another identity") as refusal:
                await ask(address, asked)
        assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED

    asyncio.run(scenario())
