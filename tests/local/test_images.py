import pytest

from clew.local.images import BadImages, find_command, parse_image_option, parse_images


@pytest.mark.parametrize(
    "pattern",
    ["docker.io/acme/shop:1.2", "docker.io/acme/shop", "acme/shop", "acme/*", "*/shop", "*shop*"],
)
def test_an_image_is_found_with_or_without_registry_and_tag(pattern: str) -> None:
    assert find_command({pattern: ("shop",)}, "docker.io/acme/shop:1.2") == ("shop",)


@pytest.mark.parametrize("pattern", ["acme/shop:1.3", "shop", "acme/sho"])
def test_another_tag_or_name_is_another_image(pattern: str) -> None:
    assert find_command({pattern: ("shop",)}, "docker.io/acme/shop:1.2") is None


def test_a_digest_is_ignored_like_a_tag() -> None:
    assert find_command({"acme/shop": ("shop",)}, "acme/shop:1@sha256:0af") == ("shop",)


def test_a_registry_port_is_no_tag() -> None:
    assert find_command({"acme/shop": ("shop",)}, "localhost:5000/acme/shop") == ("shop",)


def test_the_most_specific_pattern_wins() -> None:
    images = {"*": ("any",), "acme/*": ("acme",), "acme/shop:2": ("two",), "acme/shop": ("shop",)}
    assert find_command(images, "acme/shop:2") == ("two",)
    assert find_command(images, "acme/shop:1") == ("shop",)
    assert find_command(images, "acme/cart") == ("acme",)
    assert find_command(images, "other") == ("any",)


def test_a_command_may_be_text_or_a_list() -> None:
    text = "acme/shop: python 'my shop.py'\nacme/cart: [node, cart.js]\n"
    assert parse_images(text, "images.yaml") == {
        "acme/shop": ("python", "my shop.py"),
        "acme/cart": ("node", "cart.js"),
    }


def test_the_mapping_may_stand_under_images() -> None:
    assert parse_images("images:\n  a: b c\n", "f") == {"a": ("b", "c")}


@pytest.mark.parametrize("text", ["- a", "a:", "a: 3", "a: {}", "a: []", "a: [", "a: 'b \"c'"])
def test_a_wrong_file_is_named_in_the_error(text: str) -> None:
    with pytest.raises(BadImages, match=r"images\.yaml"):
        parse_images(text, "images.yaml")


def test_an_option_splits_at_the_first_equals_sign() -> None:
    assert parse_image_option("acme/shop=env A=1 shop") == ("acme/shop", ("env", "A=1", "shop"))


@pytest.mark.parametrize("text", ["shop", "=shop", "shop=", "shop='"])
def test_an_option_without_both_halves_is_refused(text: str) -> None:
    with pytest.raises(BadImages):
        parse_image_option(text)
