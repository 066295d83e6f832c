import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.model.spiffe import Identity, SpiffeId, in_trust_domains, parse_trust_domain


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("spiffe://td", ""),
        ("spiffe://td.example_1-2/ns/a/sa/B.c", "/ns/a/sa/B.c"),
        ("spiffe://td/...", "/..."),
    ],
)
def test_an_id_has_a_trust_domain_and_a_path(text: str, path: str) -> None:
    found = SpiffeId.parse(text)
    assert (found.path, str(found)) == (path, text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "cannot be empty"),
        ("http://td/a", "scheme"),
        ("Spiffe://td/a", "scheme"),
        ("spiffe:///a", "trust domain is missing"),
        ("spiffe://TD/a", "lowercase"),
        ("spiffe://td:80/a", "lowercase"),
        ("spiffe://user@td/a", "lowercase"),
        ("spiffe://td/", "trailing slash"),
        ("spiffe://td/a/", "trailing slash"),
        ("spiffe://td//a", "empty segments"),
        ("spiffe://td/a/../b", "dot segments"),
        ("spiffe://td/a?b", "path segment characters"),
        ("spiffe://td/a%41", "path segment characters"),
        ("spiffe://td/a\n", "path segment characters"),
        ("spiffe://td/" + "a" * 2048, "at most 2048"),
        ("spiffe://" + "a" * 256, "at most 255"),
    ],
)
def test_what_is_no_id_is_refused_with_the_rule(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        SpiffeId.parse(text)


@given(st.text())
def test_whatever_is_an_id_is_printed_as_it_was_read(text: str) -> None:
    for candidate in (text, f"spiffe://{text}", f"spiffe://td/{text}"):
        try:
            assert str(SpiffeId.parse(candidate)) == candidate
        except ValueError:
            continue


def test_a_trust_domain_may_be_given_by_any_id_of_it() -> None:
    assert parse_trust_domain("cluster.local") == "cluster.local"
    assert parse_trust_domain("spiffe://cluster.local/ns/a") == "cluster.local"


@pytest.mark.parametrize(
    "text",
    [
        "spiffe://cluster.local/ns/a/sa/b/c",
        "spiffe://cluster.local/ns//sa/b",
        "spiffe://cluster.local/foo/a/sa/b",
        "cluster.local/ns/a/sa/b",
        "",
    ],
)
def test_only_istios_form_is_an_identity(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Identity.parse(text)


def test_an_identity_is_read_as_it_is_written() -> None:
    identity = Identity("cluster.local", "default", "bookinfo-reviews")
    assert Identity.parse(str(identity)) == identity


def test_an_id_is_known_under_all_trust_domains() -> None:
    names = in_trust_domains(["spiffe://a/ns/x/sa/y", "other"], ["a", "b"])
    assert names == ("spiffe://a/ns/x/sa/y", "spiffe://b/ns/x/sa/y", "other")
