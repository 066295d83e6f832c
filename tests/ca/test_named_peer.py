"""The workload that a certificate names, and requests whose word is not taken for it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clew.ca.authority import issue
from clew.ca.keys import load_or_create
from clew.ca.named_peer import KIND, names_of, peer_in
from clew.model.metrics import CLUSTER, NOBODY, Peer
from tests.ca.requests import IDENTITY, signing_request

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
IN_THE_NAMESPACE = "reviews-v1;default;reviews;v1;Kubernetes"


def certificate(folder: Path, request: str) -> x509.Certificate:
    authority = load_or_create(folder, "cluster.local", now=NOW)
    leaf, *_ = issue(authority, request, IDENTITY, now=NOW, serial=3)
    return x509.load_pem_x509_certificate(leaf.encode())


def names_in(found: x509.Certificate) -> list[x509.GeneralName]:
    return list(found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)


def other_name(text: str) -> x509.OtherName:
    return x509.OtherName(KIND, asn1.encode_der(text))


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"app": "reviews", "version": "v1"},
        {"service.istio.io/canonical-name": "r", "app": "reviews", "version": "V_1.2"},
    ],
)
def test_a_workload_of_the_identitys_namespace_is_named(
    tmp_path: Path, labels: dict[str, str]
) -> None:
    peer = Peer.of("reviews-v1", "default", labels, CLUSTER)
    found = certificate(tmp_path, signing_request(names=names_of(peer)))
    assert peer_in(found) == peer
    assert names_in(found) == [x509.UniformResourceIdentifier(IDENTITY), *names_of(peer)]


@pytest.mark.parametrize(
    "names",
    [
        [other_name("reviews-v1;shop;reviews;v1;Kubernetes")],
        [other_name("reviews-v1;;reviews;v1;Kubernetes")],
        [other_name(f"{'x' * 254};default;reviews;v1;Kubernetes")],
        [other_name("reviews-v1;default;reviews;v1")],
        [other_name("reviews-v1;default;reviews;v1;Kubernetes;more")],
        [other_name(";default;reviews;v1;Kubernetes")],
        [other_name("reviews~v1;default;reviews;v1;Kubernetes")],
        [other_name("reviews-v1;default;re views;v1;Kubernetes")],
        [other_name("reviews-v1;default;reviews;v1;Kubernetes\n")],
        [other_name("")],
        [other_name(IN_THE_NAMESPACE), other_name(IN_THE_NAMESPACE)],
        [x509.OtherName(KIND, b"\x04" + asn1.encode_der(IN_THE_NAMESPACE)[1:])],
        [x509.OtherName(KIND, b"\x0c\x02\xff\xfe")],
        [x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x01a")],
        [x509.DNSName(IN_THE_NAMESPACE), x509.DNSName("istiod.istio-system.svc")],
    ],
    ids=[
        "another namespace",
        "no namespace",
        "overlong",
        "too few parts",
        "too many parts",
        "no workload",
        "a separator",
        "a space",
        "a line end",
        "empty",
        "two of them",
        "octets, no text",
        "no UTF-8",
        "of another kind",
        "names of DNS",
    ],
)
def test_any_other_name_in_a_request_is_left_out(
    tmp_path: Path, names: list[x509.GeneralName]
) -> None:
    found = certificate(tmp_path, signing_request(names=names))
    assert names_in(found) == [x509.UniformResourceIdentifier(IDENTITY)]
    assert peer_in(found) is NOBODY


def test_a_request_with_names_that_cannot_be_read_gets_a_certificate_without(
    tmp_path: Path,
) -> None:
    nonsense = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"nonsense")
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.add_extension(nonsense, critical=True).sign(
        ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()
    )
    text = request.public_bytes(serialization.Encoding.PEM).decode()
    assert names_in(certificate(tmp_path, text)) == [x509.UniformResourceIdentifier(IDENTITY)]


def test_a_workload_whose_labels_are_no_names_is_not_named() -> None:
    assert names_of(Peer.of("reviews-v1", "default", {"app": "b\u00fccher"}, CLUSTER)) == ()
    assert names_of(NOBODY) == ()
