"""What goes wrong in a whole mesh is seen within seconds, and is two clicks from its cause."""

from __future__ import annotations

import base64
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from playwright.sync_api import Locator, Page, expect

from clew.api.client import Client
from clew.model.base import ResourceKey
from tests.console.conftest import ALL_TO_V1
from tests.e2e.mesh import Mesh, eventually, needs_root

pytestmark = needs_root

SECONDS = 5.0
# Where something waits for a CPU for so much of the time, the clock says little of the mesh.
BUSY, BUSY_SECONDS = 0.3, 20.0

NOWHERE = ALL_TO_V1.replace("v1}}", "v9}}")
REFUSED = """\
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: impossible, namespace: default}
spec:
  workloadSelector: {labels: {app: details}}
  configPatches:
  - applyTo: CLUSTER
    match: {cluster: {service: reviews.default.svc.cluster.local}}
    patch: {operation: MERGE, value: {eds_cluster_config: null, type: LOGICAL_DNS}}
"""
DENYING = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-details, namespace: default}
spec:
  selector: {matchLabels: {app: details}}
  action: DENY
  rules:
  - to:
    - operation: {methods: [GET]}
"""
SERVING = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 8443, name: https, protocol: HTTPS}
    tls: {mode: SIMPLE, credentialName: shop}
    hosts: [shop.example.com]
"""


@pytest.fixture
def page(mesh_page: Page) -> Page:
    mesh_page.get_by_text("live", exact=True).wait_for()
    return mesh_page


@pytest.fixture
def client(mesh: Mesh) -> Iterator[Client]:
    with Client(mesh.directory / "api.sock") as found:
        yield found


def waited_for_cpu() -> float:
    """For how long something on this machine had to, in seconds."""
    try:
        some = Path("/proc/pressure/cpu").read_text().splitlines()[0]
    except OSError:
        return 0.0
    return int(some.rpartition("=")[2]) / 1e6


class Moment(NamedTuple):
    """When a fact is there, ``at``; when we knew of that, and what the CPU was like till then."""

    at: float
    known: float
    waited: float


def moment(*, seconds_from_now: float = 0.0) -> Moment:
    now = time.monotonic()
    return Moment(now + seconds_from_now, now, waited_for_cpu())


@contextmanager
def applied(client: Client, text: str, *keys: ResourceKey) -> Iterator[Moment]:
    """Objects that are there for a while, and since when."""
    since = moment()
    report = client.apply(text)
    assert all(item.result != "refused" for item in report.items), report
    try:
        yield since
    finally:
        for key in keys:
            client.delete(key)


def seen(page: Page, what: str | re.Pattern[str], since: Moment) -> Locator:
    """What is wrong, once the overview says it: in time, unless the machine has none."""
    found = verdict(page).get_by_role("link").filter(has_text=what).first
    found.wait_for()
    now = time.monotonic()
    took, share = now - since.at, (waited_for_cpu() - since.waited) / (now - since.known)
    print(f"seen after {took:.1f} s, in which the CPU was short for {share:.0%}: {what}")
    assert took <= (BUSY_SECONDS if share > BUSY else SECONDS)
    return found


def verdict(page: Page) -> Locator:
    return page.get_by_role("region", name="Verdict")


def marked(page: Page) -> Locator:
    """The line of the editor at which the cause is."""
    return page.locator(".cm-activeLine")


def test_a_route_to_nowhere_leads_to_its_line(page: Page, client: Client) -> None:
    with applied(client, NOWHERE) as since:
        seen(page, 'has the subset "v9"', since).click()
        expect(marked(page)).to_contain_text("destination")
        expect(page.get_by_text('no DestinationRule has the subset "v9"').first).to_be_visible()
    client.apply(ALL_TO_V1)


def test_what_a_proxy_refuses_leads_to_the_object_and_what_envoy_says(
    page: Page, client: Client
) -> None:
    key = ResourceKey("networking.istio.io", "EnvoyFilter", "default", "impossible")
    with applied(client, REFUSED, key) as since:
        found = seen(page, re.compile("EnvoyFilter default/impossible is held"), since)
        found.click()
        expect(page.get_by_text("held back").first).to_be_visible()
        expect(page.get_by_text(re.compile("LOGICAL_DNS clusters must")).first).to_be_visible()


def test_a_denied_call_leads_to_the_rule_that_denies_it(
    page: Page, mesh: Mesh, client: Client
) -> None:
    key = ResourceKey("security.istio.io", "AuthorizationPolicy", "default", "no-details")
    with applied(client, DENYING, key):
        eventually(lambda: b"details are currently" in mesh.get("/productpage")[1], what="a denial")
        rule = "rule 0 of AuthorizationPolicy default/no-details forbids it"
        seen(page, rule, moment()).click()
        expect(marked(page)).to_contain_text("to:")


def certificate(begins: datetime, ends: datetime) -> str:
    """A Secret with a certificate of its own for the gateway."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example.com")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
    signed = builder.not_valid_before(begins).not_valid_after(ends).sign(key, SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    values = {"tls.crt": signed.public_bytes(Encoding.PEM), "tls.key": private}
    data = ", ".join(f"{name}: {base64.b64encode(v).decode()}" for name, v in values.items())
    return (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: shop, namespace: istio-system}\n"
        f"type: kubernetes.io/tls\ndata: {{{data}}}\n"
    )


def test_a_certificate_that_expires_leads_to_its_secret_and_who_uses_it(
    page: Page, client: Client
) -> None:
    secret = ResourceKey("", "Secret", "istio-system", "shop")
    gateway = ResourceKey("networking.istio.io", "Gateway", "default", "shop")
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4)
    text = f"{SERVING}---\n{certificate(ends - timedelta(days=90), ends)}"
    with applied(client, text, gateway, secret) as since:
        seen(page, re.compile(r"CN=shop\.example\.com.* expires within"), since)
        over = moment(seconds_from_now=(ends - datetime.now(UTC)).total_seconds())
        seen(page, re.compile(r"CN=shop\.example\.com.* has expired"), over).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("shop")
        page.get_by_role("link", name="References").click()
        expect(page.get_by_role("link", name="Gateway default/shop")).to_be_visible()


def test_a_killed_workload_leads_to_how_it_ended(page: Page, mesh: Mesh, client: Client) -> None:
    (details,) = [each for each in mesh.state.replicas if each.workload.startswith("details")]
    assert details.process is not None
    since = moment()
    os.kill(details.process.pid, signal.SIGKILL)
    seen(page, "killed by SIGKILL", since).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(details.name)
    expect(page.get_by_text("was killed by SIGKILL").first).to_be_visible()
    eventually(lambda: not _errors(client), what="details to be back")


def _errors(client: Client) -> list[str]:
    return [each.problem for each in client.overview().troubles if each.severity == "error"]
