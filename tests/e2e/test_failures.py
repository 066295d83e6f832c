"""What breaks, and what must not break with it."""

from __future__ import annotations

import os
import signal
import subprocess
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

from clew.demo.load import Load
from clew.demo.steps import canary
from clew.demo.tour import version_of_reviews
from tests.corpora.corpus import cases
from tests.e2e.mesh import REVIEWS, Mesh, eventually, needs_root, running_mesh

pytestmark = needs_root


def load(mesh: Mesh) -> Load:
    """Requests one after another, which leave the machine something for the rest."""
    return Load(("127.0.0.1", mesh.state.http_port), REVIEWS, version_of_reviews, workers=1)


def envoys(mesh: Mesh, workload: str) -> list[int]:
    """The pids of the Envoys whose working directory is a replica's of ``workload``."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            name = (folder / "comm").read_text().strip()
            place = (folder / "cwd").readlink()
        except OSError:
            continue
        if name == "envoy" and mesh.directory in place.parents and workload in place.name:
            found.append(int(folder.name))
    return found


def test_no_request_fails_while_the_control_plane_is_killed_and_comes_back() -> None:
    with running_mesh("killed", capture="netns") as mesh, load(mesh) as requests:
        requests.sample(50)
        server = mesh.state.server
        assert server is not None
        os.kill(server.pid, signal.SIGKILL)
        requests.sample(300)
        eventually(
            lambda: mesh.clew("apply", "-f", "-", text=canary(0, 100).manifest).returncode == 0,
            what="the control plane is back and takes changes",
        )
        eventually(
            lambda: {o.version for o in requests.sample(20)} == {"v2"},
            what="a change after the crash takes effect",
        )
        assert [o.failure for o in requests.outcomes if o.failure] == []


def test_a_killed_sidecar_comes_back_and_the_rest_is_unaffected() -> None:
    with running_mesh("sidecar", capture="netns") as mesh:
        assert mesh.clew("apply", "-f", "-", text=canary(100, 0).manifest).returncode == 0
        with load(mesh) as requests:
            eventually(
                lambda: {o.version for o in requests.sample(20)} == {"v1"}, what="only v1 answers"
            )
            before = len(requests.outcomes)
            [victim] = envoys(mesh, "reviews-v2")
            os.kill(victim, signal.SIGKILL)
            requests.sample(200)
            assert [o.failure for o in requests.outcomes[before:] if o.failure] == []
        eventually(
            lambda: (new := envoys(mesh, "reviews-v2")) and new != [victim],
            what="the killed Envoy is started again",
        )
        mesh.clew("apply", "-f", "-", text=canary(0, 100).manifest)
        eventually(
            lambda: all(mesh.get(REVIEWS)[0] == 200 for _ in range(5)), what="v2 serves again"
        )


def test_two_meshes_run_side_by_side_and_leave_nothing_behind() -> None:
    with running_mesh("one", capture="netns") as one, running_mesh("two", capture="netns") as two:
        assert one.state.http_port != two.state.http_port
        assert one.get("/productpage")[0] == two.get("/productpage")[0] == 200
        subnets = [ip_network(mesh.state.subnet) for mesh in (one, two)]
        assert not subnets[0].overlaps(subnets[1])
        assert _addresses_in(subnets[0])
    assert one.process.returncode == two.process.returncode == 0
    for mesh, subnet in zip((one, two), subnets, strict=True):
        assert _addresses_in(subnet) == []
        assert envoys(mesh, "") == []


def test_all_of_istios_bookinfo_networking_samples_apply() -> None:
    samples = cases("samples-bookinfo")
    with running_mesh("samples", capture="netns") as mesh:
        for sample in samples:
            applied = mesh.clew("apply", "-f", "-", text=sample["yaml"])
            assert applied.returncode == 0, (sample["path"], applied.stdout, applied.stderr)
            assert "not yet effective" not in applied.stdout + applied.stderr, sample["path"]


def _addresses_in(subnet: IPv4Network | IPv6Network) -> list[str]:
    """The addresses of this host that belong to a mesh's network."""
    listed = subprocess.run(["ip", "-o", "-4", "addr"], capture_output=True, text=True, check=True)
    found = [line.split()[3].partition("/")[0] for line in listed.stdout.splitlines()]
    return [address for address in found if ip_address(address) in subnet]
