from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import pytest

from clew.agent.dns_answers import (
    Place,
    answer,
    answer_by_alias,
    ask_for,
    canonical_name,
    encode_udp,
    find_addresses,
)

PLACE = Place(namespace="default", domain="cluster.local")
NAMES = {
    "reviews.default.svc.cluster.local": ("10.96.0.10",),
    "reviews.books.svc.cluster.local": ("10.96.0.11", "fd00::11"),
    "api.example.com": ("240.240.0.1",),
    "*.wild.mesh": ("240.240.0.7",),
    "db-0.db.default.svc.cluster.local": ("10.0.0.5",),
    "silent.default.svc.cluster.local": (),
    "many.default.svc.cluster.local": tuple(f"10.0.{i}.1" for i in range(100)),
}


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("reviews", ("10.96.0.10",)),
        ("reviews.books", ("10.96.0.11", "fd00::11")),
        ("reviews.books.svc", ("10.96.0.11", "fd00::11")),
        ("reviews.default.svc.cluster.local", ("10.96.0.10",)),
        ("api.example.com", ("240.240.0.1",)),
        ("a.wild.mesh", ("240.240.0.7",)),
        ("a.b.wild.mesh", ("240.240.0.7",)),
        ("db-0.db", ("10.0.0.5",)),
        ("db-0.db.default", ("10.0.0.5",)),
        ("db-0.db.default.svc", ("10.0.0.5",)),
        ("db-0.db.default.svc.cluster.local", ("10.0.0.5",)),
        ("db-1.db", None),
        ("db-0.db.books", None),
        ("silent", ()),
        ("wild.mesh", None),
        ("ratings", None),
        ("example.com", None),
    ],
)
def test_names_mean_what_they_mean_in_a_pod(name: str, addresses: tuple[str, ...] | None) -> None:
    assert find_addresses(name, NAMES, PLACE) == addresses


def ask(name: str, kind: str = "A", *, number: int = 0) -> dns.message.Message | None:
    query = dns.message.make_query(name, kind)
    query.id = number
    return answer(query, NAMES, PLACE)


def records(response: dns.message.Message | None) -> list[str]:
    assert response is not None
    assert response.rcode() == dns.rcode.NOERROR
    return [record.to_text() for records in response.answer for record in records]


def test_each_type_has_its_own_addresses() -> None:
    assert records(ask("reviews.books", "A")) == ["10.96.0.11"]
    assert records(ask("reviews.books", "AAAA")) == ["fd00::11"]


@pytest.mark.parametrize("kind", ["AAAA", "SRV", "MX", "TXT"])
def test_a_type_that_a_host_does_not_have_is_empty_and_not_an_error(kind: str) -> None:
    assert records(ask("reviews", kind)) == []


def test_an_unknown_name_of_the_mesh_does_not_exist() -> None:
    response = ask("ratings.default.svc.cluster.local")
    assert response is not None
    assert response.rcode() == dns.rcode.NXDOMAIN


def test_names_outside_the_mesh_are_for_others() -> None:
    assert ask("example.org") is None


def test_case_does_not_matter_and_the_question_comes_back_as_asked() -> None:
    response = ask("ReVieWs")
    assert records(response) == ["10.96.0.10"]
    assert response is not None
    assert response.answer[0].name.to_text() == "ReVieWs."


def test_the_addresses_take_turns() -> None:
    assert records(ask("many", number=1))[0] == "10.0.1.1"
    assert records(ask("many", number=2))[0] == "10.0.2.1"


def test_what_does_not_fit_is_asked_again_over_tcp() -> None:
    query = dns.message.make_query("many", "A")
    response = answer(query, NAMES, PLACE)
    assert response is not None
    wire = encode_udp(response, query)
    assert len(wire) <= 512
    assert dns.message.from_wire(wire).flags & dns.flags.TC
    query.use_edns(payload=4096)
    assert not dns.message.from_wire(encode_udp(response, query)).flags & dns.flags.TC


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("library", "reviews.books"),
        ("shelf.default", "reviews.books"),
        ("outside", "example.com"),
        ("reviews", ""),
        ("nobody", ""),
        ("circle", ""),
    ],
)
def test_an_alias_stands_for_the_name_at_its_end(name: str, host: str) -> None:
    aliases = {
        "library": "reviews.books",
        "shelf": "library",
        "outside": "Example.com.",
        "circle": "circle",
    }
    names = {f"{n}.default.svc.cluster.local": (to,) for n, to in aliases.items()}
    query = dns.message.make_query(name, "A")
    assert canonical_name(query, NAMES | names, PLACE) == host


def test_an_alias_is_answered_with_its_name_and_the_addresses() -> None:
    query = dns.message.make_query("library", "A")
    found = answer(ask_for("reviews.books", query), NAMES, PLACE)
    assert found is not None
    assert records(answer_by_alias(query, "reviews.books", found)) == [
        "reviews.books.",
        "10.96.0.11",
    ]
