"""Constant load on the mesh while its routes change, and what came back."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request: the version that answered, or why there was no answer to count."""

    began: float  # monotonic seconds
    version: str
    failure: str = ""


class Load:
    """Keeps ``workers`` connections busy with GET ``path`` until it is stopped.

    ``version_of`` reads the answering version out of a body; a body it cannot read is a failure,
    as is any status but 200 and any broken connection.
    """

    def __init__(
        self,
        address: tuple[str, int],
        path: str,
        version_of: Callable[[bytes], str],
        *,
        headers: Mapping[str, str] | None = None,
        workers: int = 4,
    ) -> None:
        self._address, self._path, self._headers = address, path, dict(headers or {})
        self._version_of = version_of
        self._outcomes: list[Outcome] = []
        self._arrived = threading.Condition()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=15)

    def sample(self, count: int, *, timeout: float = 30.0) -> list[Outcome]:
        """Return the next ``count`` outcomes of requests that have not begun yet.

        Raises:
            TimeoutError: the mesh answered nothing for ``timeout`` seconds. A slow machine may
                take its time.
        """
        began = time.monotonic()
        with self._arrived:
            before = len(self._outcomes)

            def begun_since() -> list[Outcome]:
                return [o for o in self._outcomes[before:] if o.began >= began]

            found = begun_since()
            while len(found) < count:
                known = len(self._outcomes)
                if not self._arrived.wait(timeout) and len(self._outcomes) == known:
                    raise TimeoutError(
                        f"only {len(found)} of {count} requests came back, none in {timeout:.0f} s"
                    )
                found = begun_since()
            return found[:count]

    @property
    def outcomes(self) -> list[Outcome]:
        """Everything so far."""
        with self._arrived:
            return list(self._outcomes)

    def _work(self) -> None:
        connection = http.client.HTTPConnection(*self._address, timeout=10)
        while not self._stop.is_set():
            outcome = self._request(connection)
            with self._arrived:
                self._outcomes.append(outcome)
                self._arrived.notify_all()
        connection.close()

    def _request(self, connection: http.client.HTTPConnection) -> Outcome:
        began = time.monotonic()
        try:
            connection.request("GET", self._path, headers=self._headers)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self._stop.wait(0.05)
            return Outcome(began, "", f"{type(error).__name__}: {error}")
        if response.status != 200:
            return Outcome(
                began, "", f"status {response.status}: {body[:120].decode(errors='replace')}"
            )
        try:
            return Outcome(began, self._version_of(body))
        except (ValueError, KeyError) as error:
            return Outcome(began, "", f"unreadable answer: {error}")
