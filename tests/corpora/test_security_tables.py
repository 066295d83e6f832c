"""Istio's tables about hosts, protocols, SPIFFE ids, certificates and tokens.

What a table is about exists here under another name, or is refused as such: ``ABSENT`` says which
and why. Their cases count as neither right nor wrong.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from clew.agent.certificates import signing_request
from clew.ca.authority import bundle, issue, pem
from clew.ca.keys import load_or_create
from clew.ca.plugged_in import CERTIFICATE, KEY, ROOTS, UnusableAuthority, plugged_in
from clew.compile.gateway_servers import routed_hosts
from clew.config.parse import parse_documents
from clew.model.gateway import Gateway
from clew.model.spiffe import Identity, in_trust_domains
from clew.model.virtual_service import VirtualService
from clew.server.access import bearer_token
from clew.snapshot.hosts import covers, overlap
from clew.snapshot.protocols import select_protocol
from clew.snapshot.scope import GatewayServer
from tests.certificates import private_pem
from tests.corpora.conftest import Score
from tests.corpora.corpus import cases

ABSENT = {
    "TestXfccAuthenticator": "nobody is believed about a certificate that he does not show",
    "TestIsTrustedAddress": "of no address, whatever it is, is a header believed",
    "TestCheckAudience": "no JSON Web Token gives access to the control plane",
    "TestCreateCertificateE2EWithImpersonateIdentity": "nobody gets a certificate for another",
    "TestCreateCertificate": "it is about a fake authority; a real one: tests/server/test_csr.py",
    "TestCertExpired": "the certificate of the table is not in the corpus",
    "TestMoreSpecific": "no order of unrelated hosts: of those that cover one, the longest counts",
}

# What the error says is wrong, the file that it is about, and whether that is another authority's.
_DAMAGED = (
    ("failed to parse root", ROOTS, False),
    ("failed to parse cert", CERTIFICATE, False),
    ("failed to verify cert", ROOTS, True),
    ("invalid PEM-encoded key", KEY, False),
    ("match", KEY, True),
)
# Source: Go's ``x509.ExtKeyUsage``.
_PURPOSES = {ExtendedKeyUsageOID.SERVER_AUTH: 1, ExtendedKeyUsageOID.CLIENT_AUTH: 2}


def _routed(hosts: list[str], wanted: list[str], namespace: str = "default") -> set[str]:
    """The hosts of a VirtualService that a Gateway with ``hosts`` lets through."""
    gateway = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "a", "namespace": "default"},
        "spec": {
            "servers": [
                {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": hosts}
            ]
        },
    }
    rule = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "a", "namespace": namespace},
        "spec": {"hosts": wanted, "http": [{"directResponse": {"status": 200}}]},
    }
    [first] = parse_documents(json.dumps(gateway))
    [second] = parse_documents(json.dumps(rule))
    assert isinstance(first.resource, Gateway)
    assert isinstance(second.resource, VirtualService)
    server = GatewayServer(
        gateway=first.resource, server=first.resource.spec.servers[0], listen_port=80
    )
    return set(routed_hosts(server, second.resource))


def _intersection(case: dict[str, Any]) -> bool:
    return _routed(case["a"], case["b"]) == set(case["intersection"])


def _for_namespace(case: dict[str, Any]) -> bool:
    return _routed(case["hosts"], ["*"], case["namespace"]) == set(case["want"])


def _protocol(case: dict[str, Any]) -> bool:
    found = select_protocol(
        app_protocol=case.get("appProto", ""),
        name=case.get("portName", ""),
        transport=case.get("proto", {}).get("$sym", "").removeprefix("v1.Protocol"),
        number=case.get("port", 0),
    )
    wanted = {"UnsupportedProtocol": "AUTO"}.get(case["expectedProto"], case["expectedProto"])
    return bool(found.name == wanted.upper().replace("-", "_"))


def _expanded(case: dict[str, Any]) -> bool:
    return set(in_trust_domains(case["spiffeURI"], case["trustDomains"])) == set(case["want"])


def _made_id(case: dict[str, Any]) -> bool:
    """Ids are made of names that were checked before: an empty one does not get through."""
    made = str(
        Identity(case["trustDomain"], case.get("namespace", ""), case.get("serviceAccount", ""))
    )
    if case.get("expectedURI"):
        return bool(made == case["expectedURI"])
    try:
        Identity.parse(made)
    except ValueError:
        return True
    return False


def _identity(case: dict[str, Any]) -> bool:
    """By SPIFFE's rules an id with empty names is none, which Istio takes for one."""
    wanted = case["expected"]
    try:
        found = Identity.parse(case["input"])
    except ValueError:
        return wanted is None or not all(wanted.values())
    parts = found.trust_domain, found.namespace, found.service_account
    return bool(
        dict(zip(("TrustDomain", "Namespace", "ServiceAccount"), parts, strict=True)) == wanted
    )


def _request(case: dict[str, Any]) -> bool:
    wanted = case["csrOptions"]
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if wanted.get("ECSigAlg"):
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = rsa.generate_private_key(65537, 2048)
    request = x509.load_pem_x509_csr(signing_request(key, f"spiffe://{wanted['Host']}").encode())
    return request.is_signature_valid and request.public_key() == key.public_key()


def _token(case: dict[str, Any]) -> bool:
    found = (bearer_token(value) for value in (case.get("metadata") or {}).get("authorization", ()))
    return bool(next(filter(None, found), "") == case["expectedToken"])


def _verified(case: dict[str, Any]) -> bool:
    """With certificates of our own in the place of Istio's files."""
    wanted, error = case["expectedFields"], case["expectedErr"]
    for words, file, foreign in _DAMAGED:
        if words in error:
            return _is_refused(file, foreign=foreign)
    return _has_fields(_leaf(), wanted) == (not error)


def _has_fields(leaf: x509.Certificate, wanted: dict[str, Any]) -> bool:
    """Source: istio ``VerifyCertificate``: a time or an organization counts if it is asked for."""
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    bits = usage.digital_signature + 4 * usage.key_encipherment + 32 * usage.key_cert_sign
    return bool(
        names.get_values_for_type(x509.UniformResourceIdentifier) == [wanted["Host"]]
        and bits == wanted.get("KeyUsage", 0)
        and sorted(_PURPOSES[each] for each in purposes) == sorted(wanted.get("ExtKeyUsage", ()))
        and constraints.ca == wanted.get("IsCA", False)
        and bool(list(leaf.subject)) == bool(wanted.get("Org"))
        and not wanted.get("NotBefore")
        and not wanted.get("TTL")
    )


def _leaf() -> x509.Certificate:
    """A workload's certificate, for an RSA key as in Istio's files."""
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as folder:
        authority = load_or_create(Path(folder), "cluster.local", now=now)
    name = "spiffe://cluster.local/ns/default/sa/default"
    request = signing_request(rsa.generate_private_key(65537, 2048), name)
    leaf, *_ = issue(authority, request, name, now=now, serial=1)
    return x509.load_pem_x509_certificate(leaf.encode())


def _is_refused(damaged: str, *, foreign: bool) -> bool:
    """Whether an authority is refused of which one file is another's, or holds nothing good."""
    now = datetime.now(UTC)
    files = _files(now)
    plugged_in(files, now=now)
    block = b"-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"
    content = _files(now)[damaged] if foreign else block
    try:
        plugged_in({**files, damaged: content}, now=now)
    except UnusableAuthority:
        return True
    return False


def _files(now: datetime) -> dict[str, bytes]:
    """A new authority as files that can be plugged in."""
    with tempfile.TemporaryDirectory() as folder:
        authority = load_or_create(Path(folder), "cluster.local", now=now)
    key = private_pem(authority.key)
    return {
        CERTIFICATE: pem(authority.certificate).encode(),
        KEY: key,
        ROOTS: bundle(authority.roots).encode(),
    }


TABLES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "TestNameMatches": lambda case: overlap(case["a"], case["b"]) == case["out"],
    "TestNameSubsetOf": lambda case: covers(case["b"], case["a"]) == case["out"],
    "TestNamesIntersection": _intersection,
    "TestNamesForNamespace": _for_namespace,
    "TestConvertProtocol": _protocol,
    "TestExpandWithTrustDomains": _expanded,
    "TestGenSpiffeURI": _made_id,
    "TestIdentity": _identity,
    "TestGenCSR": _request,
    "TestVerifyCert": _verified,
    "TestExtractBearerToken": _token,
}


def test_tables_come_out_as_in_istio(score: Score) -> None:
    every = [case for case in cases("security-tables") if _table(case) not in ABSENT]
    wrong = [
        f"{c['id']} {_table(c)} {c['name']}" for c in every if not TABLES[_table(c)](c["case"])
    ]
    score("security-tables", len(every), wrong, reached=0.98)


def _table(case: dict[str, Any]) -> str:
    return str(case["source"]).rpartition(":")[2]
