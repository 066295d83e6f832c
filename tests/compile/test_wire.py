from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clew._pb.envoy.config.route.v3.route_components_pb2 import VirtualHost
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew.compile import wire

_HOSTS = RouteConfiguration.DESCRIPTOR.fields_by_name["virtual_hosts"].number


@given(st.lists(st.text(max_size=400), max_size=5))
def test_joined_bytes_are_what_protobuf_itself_would_have_written(names: list[str]) -> None:
    whole = RouteConfiguration(name="80", virtual_hosts=[VirtualHost(name=n) for n in names])
    joined = RouteConfiguration(name="80").SerializeToString() + b"".join(
        wire.field(_HOSTS, VirtualHost(name=n).SerializeToString()) for n in names
    )
    assert RouteConfiguration.FromString(joined) == whole


@given(st.lists(st.text(max_size=20), max_size=5))
def test_repeated_strings_keep_their_order(domains: list[str]) -> None:
    number = VirtualHost.DESCRIPTOR.fields_by_name["domains"].number
    assert list(VirtualHost.FromString(wire.text_fields(number, domains)).domains) == domains
