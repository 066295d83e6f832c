from ipaddress import IPv4Network

import pytest

from clew.local import addresses
from clew.local.addresses import (
    NoFreeAddress,
    choose_address,
    choose_service_address,
    choose_subnet,
    mesh_hash,
)


def test_a_mesh_takes_the_piece_it_prefers_when_that_is_free() -> None:
    assert choose_subnet(addresses.WORKLOADS, (), preference=3) == IPv4Network("10.200.12.0/22")


def test_a_piece_that_overlaps_a_network_of_the_machine_is_passed_over() -> None:
    used = (IPv4Network("10.200.14.0/24"), IPv4Network("192.168.0.0/16"))
    assert choose_subnet(addresses.WORKLOADS, used, preference=3) == IPv4Network("10.200.16.0/22")


def test_the_default_route_does_not_count_as_a_network() -> None:
    used = (IPv4Network("0.0.0.0/0"),)
    assert choose_subnet(addresses.WORKLOADS, used, preference=0) == IPv4Network("10.200.0.0/22")


def test_the_search_wraps_around_the_end() -> None:
    used = (IPv4Network("10.207.252.0/22"),)
    assert choose_subnet(addresses.WORKLOADS, used, preference=511) == IPv4Network("10.200.0.0/22")


def test_a_machine_without_a_free_piece_is_an_error() -> None:
    with pytest.raises(NoFreeAddress, match="overlaps a network"):
        choose_subnet(addresses.WORKLOADS, (IPv4Network("10.0.0.0/8"),), preference=0)


def test_a_released_address_is_given_out_again() -> None:
    subnet = IPv4Network("10.200.0.0/22")
    first = choose_address(subnet, ())
    second = choose_address(subnet, (first,))
    assert (first, second) == ("10.200.0.10", "10.200.0.11")
    assert choose_address(subnet, (second,)) == first


def test_a_subnet_has_an_end() -> None:
    subnet = IPv4Network("10.200.0.0/28")
    taken = [f"10.200.0.{number}" for number in range(10, 14)]
    assert choose_address(subnet, taken) == "10.200.0.14"
    with pytest.raises(NoFreeAddress):
        choose_address(subnet, [*taken, "10.200.0.14"])


def test_a_service_gets_the_same_address_after_it_was_applied_anew() -> None:
    address = choose_service_address("default/reviews", ())
    assert choose_service_address("default/reviews", ("10.208.7.7",)) == address
    assert choose_service_address("default/reviews", (address,)) != address


def test_meshes_in_different_directories_have_different_hashes() -> None:
    assert mesh_hash("/home/ann/mesh") != mesh_hash("/home/bob/mesh")
    assert len(mesh_hash("/")) == 6
