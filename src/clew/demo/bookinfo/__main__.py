"""``python -m clew.demo.bookinfo reviews``: run one service until it is stopped."""

from __future__ import annotations

import sys

from clew.demo.bookinfo import details, productpage, ratings, reviews, tcp_echo
from clew.demo.bookinfo.web import serve

SERVICES = {
    "details": details.respond,
    "productpage": productpage.respond,
    "ratings": ratings.respond,
    "reviews": reviews.respond,
}


def main(arguments: list[str]) -> None:
    match arguments:
        case ["tcp-echo", prefix]:
            tcp_echo.serve(prefix)
        case [name] if name in SERVICES:
            serve(SERVICES[name])
        case _:
            names = "|".join([*SERVICES, "tcp-echo PREFIX"])
            sys.exit(f"usage: python -m clew.demo.bookinfo {names}")


if __name__ == "__main__":
    main(sys.argv[1:])
