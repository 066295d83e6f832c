"""Reviews of a book: ``GET /reviews/{id}``.

v1 shows no ratings and does not call the ratings service; v2 shows black stars, v3 red ones.
$SERVICE_VERSION chooses.
"""

from __future__ import annotations

import json
import os
from http import HTTPStatus
from typing import Any

from clew.demo.bookinfo.web import (
    HEALTHY,
    NOT_FOUND,
    Request,
    Response,
    as_json,
    call,
    propagated,
)

STAR_COLOR = {"v2": "black", "v3": "red"}
RATINGS = os.environ.get("RATINGS_HOSTNAME", "ratings")
TEXTS = {
    "Reviewer1": "An extremely entertaining play by Shakespeare. "
    "The slapstick humour is refreshing!",
    "Reviewer2": "Absolutely fun and entertaining. The play lacks thematic depth when compared "
    "to other plays by Shakespeare.",
}


def respond(request: Request) -> Response:
    match request.path.split("/")[1:]:
        case ["health"]:
            return HEALTHY
        case ["reviews", number] if number.isdigit():
            return as_json(_reviews(int(number), request))
    return NOT_FOUND


def _reviews(number: int, request: Request) -> dict[str, Any]:
    color = STAR_COLOR.get(os.environ.get("SERVICE_VERSION", "v1"))
    rating = _ratings(number, color, request) if color else {}
    return {
        "id": str(number),
        "podname": os.environ.get("HOSTNAME", ""),
        "clustername": os.environ.get("CLUSTER_NAME"),
        "reviews": [
            {"reviewer": reviewer, "text": text, **rating.get(reviewer, rating.get("", {}))}
            for reviewer, text in TEXTS.items()
        ],
    }


def _ratings(number: int, color: str, request: Request) -> dict[str, dict[str, Any]]:
    """Return the ``rating`` to show per reviewer; under "" what to show when there is none.

    v3 waits 2.5 s for its ratings and v2 10 s, as in Istio's Bookinfo: its fault injection
    tasks depend on the difference.
    """
    timeout = 2.5 if color == "red" else 10.0
    status, body = call(
        f"http://{RATINGS}:9080/ratings/{number}", propagated(request.headers), timeout
    )
    if status != HTTPStatus.OK:
        return {"": {"rating": {"error": "Ratings service is currently unavailable"}}}
    stars = json.loads(body)["ratings"]
    return {
        reviewer: {"rating": {"stars": count, "color": color}} for reviewer, count in stars.items()
    }
