"""Changes of mTLS policies that no request may fail for: servers and clients follow in stages.

Clients use mutual TLS where servers take it. When a policy begins or ceases to forbid it, neither
side can be first: so servers take both for a moment, until all clients know.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from clew.model.peer_authentication import MutualTLSMode, PeerAuthentication
from clew.server.directory import Directory
from clew.snapshot.objects import objects_of
from clew.snapshot.peer_authentication import Authentication, index_authentication
from clew.snapshot.snapshot import MeshSnapshot
from clew.stores.store import Change

log = logging.getLogger("clew.policies")

# How long a stage waits for proxies; the policy comes into force without those that are slower.
STAGE_SECONDS = 3.0
# Proxies take clusters and listeners over a little later than they acknowledge them.
SETTLE_SECONDS = 0.5


async def take_in_stages(directory: Directory, changes: Sequence[Change]) -> None:
    """Publish a batch of the store's changes; return when it is in force.

    1. Servers take what the old and what the new policies allow. 2. Clients follow the new ones,
    and everything else of the batch is published. 3. Servers take what the new policies allow.
    """
    snapshot = directory.publisher.snapshot
    policies = tuple(objects_of(PeerAuthentication, snapshot.objects))
    after = {policy.key: policy for policy in policies} | {
        change.key: change.stored.resource if change.stored is not None else None
        for change in changes
        if change.key.kind == PeerAuthentication.__name__
    }
    found = [each for each in after.values() if isinstance(each, PeerAuthentication)]
    changed = tuple(change.key for change in changes if change.key in after)
    if not changed or not any(map(_forbids, (*policies, *found))):
        directory.take(changes)
        return
    new = index_authentication(found, snapshot.mesh.root_namespace)
    with directory.settling(changed), _accepted_too(directory, snapshot, new):
        await _acknowledged(directory)
        directory.take(changes)
        await _acknowledged(directory)
    with directory.settling(changed):
        await _acknowledged(directory)


@contextmanager
def _accepted_too(
    directory: Directory, snapshot: MeshSnapshot, new: Authentication
) -> Iterator[None]:
    directory.publisher.accept_too((snapshot.registry.authentication, new))
    try:
        yield
    finally:
        directory.publisher.accept_too(())


def _forbids(policy: PeerAuthentication) -> bool:
    """Whether it forbids mutual TLS anywhere."""
    settings = (policy.spec.mtls, *policy.spec.port_level_mtls.values())
    return any(each is not None and each.mode is MutualTLSMode.DISABLE for each in settings)


async def _acknowledged(directory: Directory) -> None:
    """Wait until all proxies use what is published, or have been given up."""
    try:
        async with asyncio.timeout(STAGE_SECONDS):
            while directory.is_awaited():
                await directory.changed()
    except TimeoutError:
        log.warning("a policy comes into force before all proxies have followed")
    await asyncio.sleep(SETTLE_SECONDS)
