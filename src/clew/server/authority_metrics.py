"""Istio's metrics of the authority, as values."""

from __future__ import annotations

from datetime import datetime

from clew.server.identities import Identities

_PREFIX = "citadel_server_"


def authority_metrics(identities: Identities, now: datetime) -> dict[str, float]:
    """Values by Istio's names: counters end in ``_count``, the others are gauges, in seconds.

    Source: istio ``security/pkg/server/ca/monitoring.go``.
    """
    current, counters = identities.in_force(), identities.counters
    root = current.root.not_valid_after_utc
    chain = min(each.not_valid_after_utc for each in (current.certificate, *current.above))
    return {
        f"{_PREFIX}csr_count": counters.csr,
        f"{_PREFIX}authentication_failure_count": counters.authentication_failure,
        f"{_PREFIX}csr_parsing_err_count": counters.csr_parsing_err,
        f"{_PREFIX}success_cert_issuance_count": counters.success_cert_issuance,
        f"{_PREFIX}root_cert_expiry_timestamp": root.timestamp(),
        f"{_PREFIX}root_cert_expiry_seconds": (root - now).total_seconds(),
        f"{_PREFIX}cert_chain_expiry_timestamp": chain.timestamp(),
        f"{_PREFIX}cert_chain_expiry_seconds": (chain - now).total_seconds(),
    }
