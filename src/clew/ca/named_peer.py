"""The workload that a certificate is for, as metrics know it: a name beside the identity.

It is an *other name* (RFC 5280, 4.2.1.6) of a kind of clew's own, a text of UTF-8, which Envoys
print as ``%DOWNSTREAM_PEER_OTHERNAME_SAN%`` and neither verify nor tell applications. Its holder
chooses it, within its own namespace: nobody is to decide by it.
"""

from __future__ import annotations

import re
from dataclasses import astuple

from cryptography import x509
from cryptography.hazmat import asn1

from clew.model.metrics import NOBODY, Peer

# An identifier that needs no registration, of a random UUID. Source: ITU-T X.667.
KIND = x509.ObjectIdentifier("2.25.27160490590702768635184687231884059230")
# Names and values of labels, as Kubernetes has them; the text is made of them and of semicolons.
_FIELD = re.compile(r"[-A-Za-z0-9_.]{0,253}")


def names_of(peer: Peer) -> tuple[x509.OtherName, ...]:
    """One; none of a workload that is not known, or with parts that are no names."""
    if not peer.workload or not all(_FIELD.fullmatch(each) for each in astuple(peer)):
        return ()
    return (x509.OtherName(KIND, asn1.encode_der(peer.encode())),)


def peer_in(certificate: x509.Certificate | x509.CertificateSigningRequest) -> Peer:
    """Whom the certificate, or a request for one, names; `NOBODY` if nobody, or not clearly."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        others = extension.value.get_values_for_type(x509.OtherName)
        [text] = [each.value for each in others if each.type_id == KIND]
        return Peer.decode(asn1.decode_der(str, text))
    # What is wrong with other parts of a request is of no interest.
    except (
        ValueError,
        x509.DuplicateExtension,
        x509.ExtensionNotFound,
        x509.UnsupportedGeneralNameType,
    ):
        return NOBODY
