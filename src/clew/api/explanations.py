"""Why a request failed, in words, and which object is to blame."""

from __future__ import annotations

from clew.api.messages import Message


class Explanation(Message, frozen=True, kw_only=True):
    """``flag``: Envoy's (``UH``), or what its details begin with (``rbac_access_denied``).

    ``says``: about the request. ``objects``: that are, or may be, to blame:
    ``DestinationRule default/reviews``.
    """

    flag: str
    says: str
    hint: str = ""
    objects: tuple[str, ...] = ()

    def __str__(self) -> str:
        blamed = f" ← {', '.join(self.objects)}" if self.objects else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.flag}: it {self.says}{blamed}{hint}"


class ExplanationList(Message, frozen=True, kw_only=True):
    """Of one request; nothing if it went as it should."""

    items: tuple[Explanation, ...] = ()
