from __future__ import annotations

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from clew.agent.certificates import (
    Certificate,
    certificate_secret,
    new_key,
    read_roots,
    root_secret,
    signing_request,
)
from clew.ca.named_peer import peer_in
from clew.model.metrics import CLUSTER, NOBODY, Peer
from tests.agent.control_plane import Authority

IDENTITY = "spiffe://cluster.local/ns/default/sa/reviews"


def test_the_request_names_the_identity_and_nothing_else() -> None:
    request = x509.load_pem_x509_csr(signing_request(new_key(), IDENTITY).encode())
    assert request.is_signature_valid
    assert len(request.subject) == 0
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier(IDENTITY)]


def test_the_request_names_the_workload_if_its_labels_are_names() -> None:
    peer = Peer.of("reviews-v1", "default", {"app": "reviews", "version": "v1"}, CLUSTER)
    request = x509.load_pem_x509_csr(signing_request(new_key(), IDENTITY, peer).encode())
    assert peer_in(request) == peer
    odd = Peer.of("reviews-v1", "default", {"app": "x" * 20_000}, CLUSTER)
    request = x509.load_pem_x509_csr(signing_request(new_key(), IDENTITY, odd).encode())
    assert peer_in(request) is NOBODY


def test_the_secret_has_the_chain_in_order_and_the_key() -> None:
    key = new_key()
    secret = msgspec.json.decode(certificate_secret(key, ["leaf", "intermediate\n"]))
    (resource,) = secret["resources"]
    assert resource["tls_certificate"]["certificate_chain"]["inline_string"] == (
        "leaf\nintermediate\n"
    )
    pem = resource["tls_certificate"]["private_key"]["inline_string"]
    loaded = serialization.load_pem_private_key(pem.encode(), None)
    assert loaded.public_key() == key.public_key()


def test_a_certificate_is_read_back_as_it_was_written() -> None:
    authority, key = Authority(), new_key({"WORKLOAD_RSA_KEY_SIZE": "2048"})
    leaf, root = authority.issue_for(key.public_key(), IDENTITY)
    read = Certificate.read(certificate_secret(key, [leaf]))
    assert read.key.private_numbers() == key.private_numbers()
    assert read.chain == (leaf,)
    assert read.is_under(root)
    assert not read.is_under(Authority().root)
    assert read_roots(root_secret(root)) == root
    with pytest.raises((ValueError, KeyError, TypeError)):
        Certificate.read(root_secret(root))


@pytest.mark.parametrize(
    ("environment", "kind", "size"),
    [
        ({}, ec.EllipticCurvePrivateKey, 256),
        ({"WORKLOAD_RSA_KEY_SIZE": "4096"}, rsa.RSAPrivateKey, 4096),
        ({"WORKLOAD_RSA_KEY_SIZE": "512"}, ec.EllipticCurvePrivateKey, 256),
        (
            {"ECC_SIGNATURE_ALGORITHM": "ECDSA", "ECC_CURVE": "P384"},
            ec.EllipticCurvePrivateKey,
            384,
        ),
    ],
)
def test_keys_are_of_the_kind_that_the_proxy_s_variables_say(
    environment: dict[str, str], kind: type, size: int
) -> None:
    key = new_key(environment)
    assert isinstance(key, kind)
    assert key.key_size == size
