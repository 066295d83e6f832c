"""The details of a book: ``GET /details/{id}``."""

from __future__ import annotations

from clew.demo.bookinfo.web import HEALTHY, NOT_FOUND, Request, Response, as_json


def respond(request: Request) -> Response:
    match request.path.split("/")[1:]:
        case ["health"]:
            return HEALTHY
        case ["details", number] if number.isdigit():
            return as_json(
                {
                    "id": int(number),
                    "author": "William Shakespeare",
                    "year": 1595,
                    "type": "paperback",
                    "pages": 200,
                    "publisher": "PublisherA",
                    "language": "English",
                    "ISBN-10": "1234567890",
                    "ISBN-13": "123-1234567890",
                }
            )
    return NOT_FOUND
