"""Stars per reviewer: ``GET /ratings/{id}``, and ``POST`` to set them until the next restart."""

from __future__ import annotations

import json
from http import HTTPStatus

from clew.demo.bookinfo.web import HEALTHY, NOT_FOUND, Request, Response, as_json

DEFAULT = {"Reviewer1": 5, "Reviewer2": 4}
_posted: dict[int, dict[str, int]] = {}


def respond(request: Request) -> Response:
    match request.path.split("/")[1:]:
        case ["health"]:
            return HEALTHY
        case ["ratings", number] if number.isdigit():
            if request.method == "POST":
                try:
                    _posted[int(number)] = dict(json.loads(request.body))
                except ValueError:
                    return as_json(
                        {"error": "please provide ratings as JSON"}, HTTPStatus.BAD_REQUEST
                    )
            return as_json({"id": int(number), "ratings": _posted.get(int(number), DEFAULT)})
    return NOT_FOUND
