import pytest

from clew.model.interception import Interception, problems_of_interception, read_interception

PREFIX = "traffic.sidecar.istio.io/"


def test_without_annotations_everything_is_taken() -> None:
    assert read_interception({}) == Interception()


def test_each_annotation_is_read() -> None:
    annotations = {
        f"{PREFIX}includeOutboundIPRanges": "10.0.0.0/8, fd00::/8",
        f"{PREFIX}includeOutboundPorts": "15432",
        f"{PREFIX}includeInboundPorts": "80,443",
        f"{PREFIX}excludeOutboundIPRanges": "10.1.2.3/16",
        f"{PREFIX}excludeOutboundPorts": "3306, 27017",
        f"{PREFIX}excludeInboundPorts": "9090",
        f"{PREFIX}excludeInterfaces": "eth1,docker0",
    }
    assert read_interception(annotations) == Interception(
        outbound_ranges=("10.0.0.0/8", "fd00::/8"),
        outbound_ports=(15432,),
        inbound_ports=(80, 443),
        excluded_outbound_ranges=("10.1.0.0/16",),
        excluded_outbound_ports=(3306, 27017),
        excluded_inbound_ports=(9090,),
        excluded_interfaces=("eth1", "docker0"),
    )


@pytest.mark.parametrize(("text", "taken"), [("*", None), (" * ", None), ("", ())])
def test_a_star_is_everything_and_nothing_is_nothing(text: str, taken: object) -> None:
    annotations = {
        f"{PREFIX}includeOutboundIPRanges": text,
        f"{PREFIX}includeInboundPorts": text,
    }
    found = read_interception(annotations)
    assert (found.outbound_ranges, found.inbound_ports) == (taken, taken)


def test_what_makes_no_sense_is_told_and_left_out() -> None:
    annotations = {
        f"{PREFIX}excludeOutboundPorts": "http",
        f"{PREFIX}excludeOutboundIPRanges": "10.0.0.0/8,here",
        f"{PREFIX}excludeInterfaces": "eth0; drop",
        f"{PREFIX}excludeInboundPorts": "9090",
    }
    assert read_interception(annotations) == Interception(excluded_inbound_ports=(9090,))
    assert dict(problems_of_interception(annotations)) == {
        f"{PREFIX}excludeOutboundPorts": "'http' is no port (1 to 65535)",
        f"{PREFIX}excludeOutboundIPRanges": "'here' is no network such as 10.0.0.0/8",
        f"{PREFIX}excludeInterfaces": "'eth0; drop' is no name of a network interface",
    }
