"""When to renew a certificate."""

from __future__ import annotations

from datetime import datetime, timedelta


def renewal_time(not_before: datetime, not_after: datetime, *, jitter: float) -> datetime:
    """Return when to renew: a point in the second half of the lifetime.

    ``jitter`` in [0, 1] is that point as a share of the second half. The caller draws it, so that
    workloads that were started together do not renew together. The result may be in the past:
    then renew now.

    Raises:
        ValueError: the certificate never was valid (``not_after`` <= ``not_before``).

    Source: Istio agent, SECRET_GRACE_PERIOD_RATIO 0.5 and its jitter.
    """
    lifetime = not_after - not_before
    if lifetime <= timedelta(0):
        raise ValueError(f"certificate ends ({not_after}) before it begins ({not_before})")
    return not_before + lifetime * (0.5 + min(max(jitter, 0.0), 1.0) / 2)
