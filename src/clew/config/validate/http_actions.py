"""Istio's admission rules for what an HTTP route does other than forward."""

from __future__ import annotations

from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding
from clew.config.validate.hosts import check_port
from clew.config.validate.scalars import check_range, check_regex
from clew.model.virtual_service import (
    HTTPDirectResponse,
    HTTPMatchRequest,
    HTTPRedirect,
    HTTPRewrite,
)

_LARGE, _TOO_LARGE = 100 * 1024, 1024 * 1024


def check_redirect(
    redirect: HTTPRedirect, matches: tuple[HTTPMatchRequest, ...], path: FieldPath
) -> Iterator[Finding]:
    whereto = (redirect.uri, redirect.prefix_rewrite, redirect.authority, redirect.scheme)
    if not any(whereto) and redirect.port is None and redirect.derive_port is None:
        yield Finding(path, "set at least one of uri, prefixRewrite, authority, port, scheme")
    if redirect.uri and redirect.prefix_rewrite:
        yield Finding(path, "uri and prefixRewrite exclude each other")
    if redirect.port is not None and redirect.derive_port is not None:
        yield Finding(path, "port and derivePort exclude each other")
    if redirect.prefix_rewrite and not _all_prefixes(matches):
        yield Finding((*path, "prefixRewrite"), "it needs matches on a prefix of the uri only")
    if redirect.scheme not in ("", "http", "https"):
        yield Finding((*path, "scheme"), f'"{redirect.scheme}" is neither http nor https')
    yield from check_port(redirect.port or None, (*path, "port"))
    if redirect.redirect_code:
        yield from check_range(redirect.redirect_code, 300, 399, (*path, "redirectCode"))


def _all_prefixes(matches: tuple[HTTPMatchRequest, ...]) -> bool:
    return all(m.uri is not None and m.uri.prefix is not None for m in matches)


def check_rewrite(rewrite: HTTPRewrite, path: FieldPath) -> Iterator[Finding]:
    if not (rewrite.uri or rewrite.authority or rewrite.uri_regex_rewrite):
        yield Finding(path, "set uri, uriRegexRewrite or authority")
    if (by_regex := rewrite.uri_regex_rewrite) is not None:
        at = (*path, "uriRegexRewrite")
        if rewrite.uri:
            yield Finding(at, "uri and uriRegexRewrite exclude each other")
        if not by_regex.match or not by_regex.rewrite:
            yield Finding(at, "both match and rewrite are needed")
        else:
            yield from check_regex(by_regex.match, (*at, "match"))


def check_direct_response(response: HTTPDirectResponse, path: FieldPath) -> Iterator[Finding]:
    yield from check_range(response.status, 200, 600, (*path, "status"))
    if (body := response.body) is None:
        return
    if body.string is not None and body.bytes is not None:
        yield Finding((*path, "body"), "string and bytes exclude each other")
    size = len((body.string or "").encode()) or _size_of_bytes(body.bytes or "")
    if size > _TOO_LARGE:
        yield Finding((*path, "body"), f"the body has {size} bytes; 1 MB is the limit")
    elif size > _LARGE:
        problem = f"the body has {size} bytes, and every proxy holds it in memory"
        yield Finding((*path, "body"), problem, warning=True)


def _size_of_bytes(text: str) -> int:
    """Bytes are base64 in YAML; whatever is not, is taken for the bytes themselves."""
    return len(text) if len(text) % 4 else len(text) * 3 // 4
