"""The certificate that a Gateway's proxies show to the backends whose policies ask for TLS.

Source: Gateway API ``GatewayBackendTLS``.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from clew.model.config_map import ConfigMap
from clew.model.destination_rule import ClientTLSMode, ClientTLSSettings, DestinationRule
from clew.model.route_semantics import CLIENT_CERTIFICATE, parents
from clew.model.secret import Secret
from clew.snapshot.credentials import ROOTS, Credentials
from clew.snapshot.scope import GatewayScope, OutboundScope

_SYSTEM_ROOTS = "system"


def presenting(outbound: OutboundScope, gateway: GatewayScope) -> OutboundScope:
    """Return what a router can call, with its client certificate wherever a policy asks for TLS."""
    wanted = (s.gateway.metadata.annotations.get(CLIENT_CERTIFICATE) for s in gateway.servers)
    name = next(filter(None, wanted), "")
    own = next((each for each in gateway.credentials if each.metadata.name == name), None)
    if own is None:
        return outbound
    credentials: dict[str, Secret] = {}
    rules = {
        host: _with_certificate(rule, own, outbound.credentials, credentials)
        for host, rule in outbound.destination_rules.items()
    }
    known = {**outbound.credentials, **credentials}
    return replace(outbound, destination_rules=rules, credentials=known)


def _with_certificate(
    rule: DestinationRule, own: Secret, known: Credentials, credentials: dict[str, Secret]
) -> DestinationRule:
    policy = rule.spec.traffic_policy
    if policy is None or all(each.kind != "BackendTLSPolicy" for each in parents(rule)):
        return rule
    ports = tuple(
        msgspec.structs.replace(each, tls=_mutual(each.tls, own, known, credentials))
        for each in policy.port_level_settings
    )
    changed = msgspec.structs.replace(
        policy, tls=_mutual(policy.tls, own, known, credentials), port_level_settings=ports
    )
    return msgspec.structs.replace(
        rule, spec=msgspec.structs.replace(rule.spec, traffic_policy=changed)
    )


def _mutual(
    settings: ClientTLSSettings | None,
    own: Secret,
    known: Credentials,
    credentials: dict[str, Secret],
) -> ClientTLSSettings | None:
    """Return the settings with the certificate. One secret holds it and the backend's roots."""
    if settings is None or settings.mode is not ClientTLSMode.SIMPLE:
        return settings
    roots = settings.credential_name
    name = f"{own.metadata.name}+{roots}" if roots else own.metadata.name
    authorities = known.get(roots)
    text = authorities.data.get("ca.crt", "") if isinstance(authorities, ConfigMap) else ""
    combined = msgspec.structs.replace(
        own,
        metadata=msgspec.structs.replace(own.metadata, name=name),
        string_data={**own.string_data, "ca.crt": text},
    )
    credentials |= {name: combined, name + ROOTS: combined}
    return msgspec.structs.replace(
        settings,
        mode=ClientTLSMode.MUTUAL,
        credential_name=name,
        ca_certificates="" if roots else _SYSTEM_ROOTS,
    )
