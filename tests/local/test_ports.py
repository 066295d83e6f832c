import subprocess
import sys

import pytest

from clew.local.ports import Ports, PortTaken

HOLD = """
import sys
from clew.local.ports import Ports
print(Ports().take_near({port}), flush=True)
sys.stdin.read()
"""


def test_ports_are_handed_out_once() -> None:
    ports = Ports()
    assert ports.take() != ports.take()
    assert ports.take_near(21500) != ports.take_near(21500)


def test_a_port_that_another_mesh_was_given_is_not_free_although_nobody_listens_yet() -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(port=21600)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    with holder:
        taken = int(holder.stdout.readline())
        with pytest.raises(PortTaken, match="another mesh's"):
            Ports().take_exactly(taken)
        assert Ports().take_near(taken) != taken
        holder.communicate()
    assert Ports().take_exactly(taken) == taken
