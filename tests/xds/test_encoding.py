from hypothesis import given
from hypothesis import strategies as st

from clew._pb.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryResponse,
    DiscoveryResponse,
    Resource,
)
from clew.model.xds import CLUSTER, EnvoyResource
from clew.xds.encoding import delta_response, sotw_response

RESOURCES = st.lists(st.builds(EnvoyResource, st.text(), st.text(), st.binary()))


@given(RESOURCES, st.lists(st.text()))
def test_a_delta_response_is_what_protobuf_would_write(
    resources: list[EnvoyResource], removed: list[str]
) -> None:
    expected = DeltaDiscoveryResponse(type_url=CLUSTER, nonce="7", removed_resources=removed)
    for resource in resources:
        message = Resource(name=resource.name, version=resource.version)
        message.resource.type_url, message.resource.value = CLUSTER, resource.body
        expected.resources.append(message)
    written = delta_response(CLUSTER, "7", resources, removed)
    assert DeltaDiscoveryResponse.FromString(written) == expected


def test_lengths_beyond_one_byte_are_written_as_varints() -> None:
    large = EnvoyResource("n" * 200, "v", b"x" * 3_000_000)
    message = DiscoveryResponse.FromString(sotw_response(CLUSTER, "1", "2", [large, large]))
    assert [len(resource.value) for resource in message.resources] == [3_000_000] * 2
    assert (message.version_info, message.nonce) == ("1", "2")
