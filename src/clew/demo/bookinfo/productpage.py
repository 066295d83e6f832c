"""The front page: calls details and reviews and shows both.

``/productpage`` is HTML; ``/api/v1/products…`` is JSON; ``/login`` and ``/logout`` set the user,
who is sent on as the ``end-user`` header.
"""

from __future__ import annotations

import json
import os
from html import escape
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from clew.demo.bookinfo.web import (
    HEALTHY,
    NOT_FOUND,
    Request,
    Response,
    as_json,
    call,
    propagated,
)

DETAILS = os.environ.get("DETAILS_HOSTNAME", "details")
REVIEWS = os.environ.get("REVIEWS_HOSTNAME", "reviews")
RATINGS = os.environ.get("RATINGS_HOSTNAME", "ratings")
PRODUCTS = [
    {
        "id": 0,
        "title": "The Comedy of Errors",
        "descriptionHtml": "The Comedy of Errors is one of William Shakespeare's early plays.",
    }
]
# Istio's timing, so that its fault injection tasks behave alike: 3 s, and reviews twice.
TIMEOUT = 3.0
TRIES = {REVIEWS: 2}


def respond(request: Request) -> Response:
    url = urlsplit(request.path)
    headers = _outgoing(request)
    match url.path.strip("/").split("/"):
        case ["health"]:
            return HEALTHY
        case ["" | "index.html"]:
            return _html("<p>See <a href='/productpage?u=normal'>the product page</a>.</p>")
        case ["productpage"]:
            return _html(_page(headers))
        case ["login"]:
            return _login(parse_qs(request.body.decode(errors="replace")))
        case ["logout"]:
            return _redirect("user=; Max-Age=0; Path=/")
        case ["api", "v1", "products"]:
            return as_json(PRODUCTS)
        case ["api", "v1", "products", number]:
            return _relay(DETAILS, f"details/{number}", headers)
        case ["api", "v1", "products", number, "reviews"]:
            return _relay(REVIEWS, f"reviews/{number}", headers)
        case ["api", "v1", "products", number, "ratings"]:
            return _relay(RATINGS, f"ratings/{number}", headers)
    return NOT_FOUND


def _outgoing(request: Request) -> dict[str, str]:
    headers = propagated(request.headers)
    try:
        cookie = SimpleCookie(request.headers.get("cookie", ""))
    except CookieError:
        return headers
    if "user" in cookie and cookie["user"].value:
        headers["end-user"] = cookie["user"].value
    return headers


def _relay(host: str, path: str, headers: dict[str, str]) -> Response:
    status, body = call(f"http://{host}:9080/{path}", headers, TIMEOUT)
    if status == HTTPStatus.OK:
        return Response(status, body)
    return as_json(
        {"error": f"Sorry, product {path.split('/')[0]} are currently unavailable."}, status
    )


def _page(headers: dict[str, str]) -> str:
    details = _fetch(DETAILS, "details/0", headers)
    reviews = _fetch(REVIEWS, "reviews/0", headers)
    user = headers.get("end-user", "")
    who = f"{escape(user)} (<a href='/logout'>sign out</a>)" if user else _LOGIN_FORM
    return (
        f"<p class='user'>{who}</p><h1>{PRODUCTS[0]['title']}</h1>"
        f"<p>{PRODUCTS[0]['descriptionHtml']}</p><div class='columns'>"
        f"<section><h2>Book Details</h2>{_details(details)}</section>"
        f"<section><h2>Book Reviews</h2>{_reviews(reviews)}</section></div>"
    )


def _fetch(host: str, path: str, headers: dict[str, str]) -> dict[str, Any] | None:
    for _ in range(TRIES.get(host, 1)):
        status, body = call(f"http://{host}:9080/{path}", headers, TIMEOUT)
        if status == HTTPStatus.OK:
            return dict(json.loads(body))
    return None


def _details(details: dict[str, Any] | None) -> str:
    if details is None:
        return "<p class='error'>Sorry, product details are currently unavailable.</p>"
    rows = (
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>"
        for name, value in details.items()
        if name != "id"
    )
    return f"<dl>{''.join(rows)}</dl>"


def _reviews(reviews: dict[str, Any] | None) -> str:
    if reviews is None:
        return "<p class='error'>Sorry, product reviews are currently unavailable.</p>"
    quotes = "".join(
        f"<blockquote>{escape(r['text'])}<footer>{escape(r['reviewer'])} {_stars(r)}</footer>"
        "</blockquote>"
        for r in reviews["reviews"]
    )
    return (
        f"{quotes}<p class='pod'>Reviews served by: <code>{escape(reviews['podname'])}</code></p>"
    )


def _stars(review: dict[str, Any]) -> str:
    rating = review.get("rating", {})
    if "error" in rating:
        return f"<span class='error'>{escape(rating['error'])}</span>"
    if not rating:
        return ""
    stars = "★" * rating["stars"] + "☆" * (5 - rating["stars"])
    return f"<span style='color:{escape(rating['color'])}'>{stars}</span>"


def _login(form: dict[str, list[str]]) -> Response:
    user = "".join(c for c in form.get("username", [""])[0] if c.isalnum() or c in "-_.")
    return _redirect(f"user={user}; Path=/; HttpOnly; SameSite=Lax")


def _redirect(cookie: str) -> Response:
    headers = {"location": "/productpage", "set-cookie": cookie}
    return Response(HTTPStatus.FOUND, b"", "text/html; charset=utf-8", headers)


def _html(body: str) -> Response:
    page = f"<!doctype html><html lang=en><title>Bookinfo</title>{_STYLE}<body>{body}</body></html>"
    return Response(HTTPStatus.OK, page.encode(), "text/html; charset=utf-8")


_LOGIN_FORM = (
    "<form action='/login' method='post'><input name='username' placeholder='user name'>"
    "<button>Sign in</button></form>"
)
_STYLE = (
    "<style>body{font:16px system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    ".columns{display:grid;grid-template-columns:1fr 1fr;gap:2rem}.user{text-align:right}"
    ".error{color:#b00}blockquote{margin:0 0 1rem;border-left:3px solid #ccc;padding-left:1rem}"
    "dl{display:grid;grid-template-columns:auto 1fr;gap:.2rem 1rem}dd{margin:0}</style>"
)
