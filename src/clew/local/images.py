"""Which local program stands for which container image."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from fnmatch import fnmatchcase

import msgspec
import yaml

Images = Mapping[str, tuple[str, ...]]


class BadImages(ValueError):
    """An image mapping that cannot be read; the message says which and why."""


def parse_image_option(text: str) -> tuple[str, tuple[str, ...]]:
    """Read ``IMAGE=CMD``, the command in shell quoting. Raises: BadImages."""
    image, separator, command = text.partition("=")
    if not separator or not image.strip() or not command.strip():
        raise BadImages(
            f"--image {text!r} is not IMAGE=CMD, as in: --image 'acme/shop=python shop.py'"
        )
    return image.strip(), _words(image, command)


def parse_images(text: str, file: str) -> dict[str, tuple[str, ...]]:
    """Read a YAML mapping of image to command: text in shell quoting, or a list of words.

    The mapping may stand under a key ``images``. Raises: BadImages.
    """
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadImages(f"{file} is not YAML: {error}") from None
    if isinstance(value, dict) and set(value) == {"images"}:
        value = value["images"]
    if not isinstance(value, dict):
        raise BadImages(f"{file}: expected a mapping such as:  acme/shop: python shop.py")
    return {str(image): _command(file, str(image), command) for image, command in value.items()}


def _command(file: str, image: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) and value.strip():
        return _words(f"{file}: {image}", value)
    try:
        command = msgspec.convert(value, tuple[str, ...])
    except msgspec.ValidationError:
        command = ()
    if not command:
        raise BadImages(f"{file}: {image}: expected a command, as text or as a list of words")
    return command


def _words(where: str, command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise BadImages(f"{where}: {command!r}: {error}") from None


def find_command(images: Images, image: str) -> tuple[str, ...] | None:
    """Return the command for ``image``; the most specific pattern wins.

    A pattern may use ``*``, leave out the tag or digest, and leave out the registry.
    """
    names = _names(image)
    matching = [p for p in images if any(fnmatchcase(name, p) for name in names)]
    if not matching:
        return None
    return images[max(matching, key=lambda p: (p in names, len(p.replace("*", "")), p))]


def _names(image: str) -> frozenset[str]:
    """``docker.io/acme/shop:1`` is also ``docker.io/acme/shop``, ``acme/shop:1``, ``acme/shop``."""
    untagged = image.partition("@")[0]
    path, slash, last = untagged.rpartition("/")
    untagged = path + slash + last.partition(":")[0]
    names = {image, untagged}
    for name in (image, untagged):
        registry, slash, rest = name.partition("/")
        if slash and ("." in registry or ":" in registry or registry == "localhost"):
            names.add(rest)
    return frozenset(names)
