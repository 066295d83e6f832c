"""Obtains the workload's certificate, writes it where Envoy looks, and renews it in time."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import grpc

from clew._pb.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse
from clew._pb.istio.mesh.v1alpha1.proxy_pb2 import ProxyConfig
from clew.agent.backoff import delays
from clew.agent.certificates import (
    Certificate,
    certificate_secret,
    new_key,
    read_roots,
    root_secret,
)
from clew.agent.directory import SDS_DIRECTORY
from clew.agent.envoy_secrets import wait_until_in_use
from clew.agent.signing import BadToken, request_certificate, way_to_sign
from clew.agent.spec import AgentSpec, own_peer
from clew.ca.private_file import write_private
from clew.ca.renewal import renewal_time
from clew.model.xds import TRUST_BUNDLE

log = logging.getLogger("clew.agent")

_REFUSALS = (
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.INVALID_ARGUMENT,
)
# The clock that asyncio sleeps by stands still while a laptop is closed; certificates age.
_LONGEST_SLEEP_SECONDS = 60.0
# The last tenth of a lifetime is left for an authority that is away.
_LATEST_RENEWAL = 0.8

CERTIFICATE_FILE, ROOTS_FILE = "default.json", "rootca.json"


class IdentityRefused(Exception):
    """The certificate authority answered, and said no. Asking again would not help."""


class WorkloadIdentity:
    """One workload's certificate and the roots that it trusts, as the mesh changes them.

    It follows the control plane's bundle of roots. When the first of them, under which new
    certificates are made, is not that of its own certificate, it gets another one.
    """

    type_url = TRUST_BUNDLE

    def __init__(self, spec: AgentSpec, token: str = "") -> None:
        self._spec = spec
        self._token = token
        self._sds = Path(spec.directory, SDS_DIRECTORY)
        self._certificate: Certificate | None = None
        self._due = datetime.now(UTC)
        self._roots = ""
        self._wanted: tuple[str, ...] = ()
        self._one_at_a_time = asyncio.Lock()

    async def start(self) -> None:
        """Have a certificate: on other hosts than the mesh's, the one from before will do.

        Raises:
            IdentityRefused: the authority does not give this workload its identity.
        """
        if not self._spec.ca.startswith("unix:"):
            self._take_up()
        if self._certificate is not None and self._is_certified():
            self._set_due(self._certificate)
            if self._certificate.peer != own_peer(self._spec):
                self._due = datetime.now(UTC)  # the workload's labels were others
        else:
            await self.obtain()

    async def obtain(self, wait_seconds: float = 0.1) -> None:
        """Get a certificate, however long the authority is away.

        Raises:
            IdentityRefused: the authority does not give this workload its identity.
        """
        for delay in delays(wait_seconds, 10.0):
            try:
                await self._ask()
                return
            except grpc.aio.AioRpcError as error:
                if error.code() in _REFUSALS:
                    raise IdentityRefused(_refusal(self._spec, error.details() or "")) from None
                log.warning(
                    "certificate authority away ca=%s error=%r retry_seconds=%.1f",
                    self._spec.ca,
                    error.details(),
                    delay,
                )
            except BadToken as error:
                raise IdentityRefused(_refusal(self._spec, str(error))) from None
            await asyncio.sleep(delay)

    async def run(self) -> None:
        """Renew the certificate each time that it is due. A refusal keeps what there is."""
        while True:
            # Wall clocks jump, and hosts sleep: look again from time to time.
            while (remaining := (self._due - datetime.now(UTC)).total_seconds()) > 0:  # noqa: ASYNC110  # a time is due, no event
                await asyncio.sleep(min(remaining, _LONGEST_SLEEP_SECONDS))
            try:
                await self.obtain()
                log.info("certificate renewed next=%s", self._due.isoformat(timespec="seconds"))
            except IdentityRefused as error:
                log.error("certificate not renewed, the old one stays until it expires: %s", error)
                await asyncio.sleep(_LONGEST_SLEEP_SECONDS)

    def versions(self) -> Mapping[str, str]:
        """None: a new stream is told all, and acknowledges only what is in use."""
        return {}

    def receive(self, response: DeltaDiscoveryResponse) -> None:
        for resource in response.resources:
            bundle = ProxyConfig.FromString(resource.resource.value)
            self._wanted = tuple(bundle.ca_certificates_pem)

    async def settled(self) -> None:
        """Trust the roots, have a certificate under the first one, and see Envoy use both."""
        async with self._one_at_a_time:
            if not self._wanted:
                return
            self._trust("".join(self._wanted))
            if not self._is_under(self._wanted[0]):
                await self._replace()
            await wait_until_in_use(self._spec.directory, self._chain(), self._roots)

    async def _replace(self) -> None:
        for delay in delays(1.0, 10.0):
            try:
                await self.obtain()
            except IdentityRefused as error:
                log.error("no certificate under the new root: %s", error)
            if self._is_under(self._wanted[0]):
                log.info("certificate replaced next=%s", self._due.isoformat(timespec="seconds"))
                return
            await asyncio.sleep(delay)

    def _is_under(self, root: str) -> bool:
        return self._certificate is not None and self._certificate.is_under(root)

    def _chain(self) -> Sequence[str]:
        return self._certificate.chain if self._certificate is not None else ()

    async def _ask(self) -> None:
        way = way_to_sign(self._spec, certified=self._is_certified(), token=self._token)
        key = new_key(self._spec.settings.proxy_metadata)
        *own, roots = await request_certificate(self._spec, key, way)
        self._certificate = Certificate(key, tuple(own))
        # The roots first: a peer's new certificate may come from an authority that only they know.
        self._trust(roots)
        write_private(self._sds / CERTIFICATE_FILE, certificate_secret(key, own))
        self._set_due(self._certificate)

    def _set_due(self, certificate: Certificate) -> None:
        begins, ends = certificate.validity
        self._due = renewal_time(begins, ends, jitter=random.uniform(0, _LATEST_RENEWAL))

    def _is_certified(self) -> bool:
        if self._certificate is None:
            return False
        begins, ends = self._certificate.validity
        return begins <= datetime.now(UTC) < ends

    def _take_up(self) -> None:
        """Go on with what an earlier life of this agent left; a token is good only once."""
        try:
            self._certificate = Certificate.read((self._sds / CERTIFICATE_FILE).read_bytes())
            self._roots = read_roots((self._sds / ROOTS_FILE).read_bytes())
        except (OSError, ValueError, KeyError, TypeError):
            self._certificate, self._roots = None, ""

    def _trust(self, roots: str) -> None:
        if roots != self._roots:
            self._sds.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self._sds / ROOTS_FILE, root_secret(roots))
            self._roots = roots


def _refusal(spec: AgentSpec, details: str) -> str:
    advice = (
        "Check serviceAccountName of the workload, and that this mesh runs as the same user."
        if spec.ca.startswith("unix:")
        else "Make a new token for this host: clew ca token create --help."
    )
    return (
        f"the certificate authority at {spec.ca} refuses {spec.name} the identity "
        f"{spec.namespace}/{spec.service_account}: {details}. The workload is not started. {advice}"
    )
