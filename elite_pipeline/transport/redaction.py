"""Taking secrets out of text before it reaches a log, an error, metadata or an event."""

import base64
import re
from collections.abc import Iterable

REDACTED = "[redacted]"

#: ``user:password@`` in an address, whoever's it is.
_URL_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):([^/\s@]*)@")
#: The credentials of an Authorization header that strayed into a message.
_AUTHORIZATION = re.compile(r"\b(Basic|Bearer)\s+[A-Za-z0-9+/=._~-]{8,}", re.IGNORECASE)


class Redactor:
    """Replaces known secrets, and what has the shape of one, in text.

    Args:
        secrets: Values that must never be shown. Values shorter than four characters are left out:
            replacing them would tear ordinary text apart without hiding anything.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)
        self._known = re.compile("|".join(re.escape(secret) for secret in known)) if known else None

    @classmethod
    def for_basic_auth(cls, user: str, password: str, others: Iterable[str] = ()) -> "Redactor":
        """Build one that also knows the encoded form of HTTP Basic credentials."""
        encoded = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
        return cls([user, password, encoded, *others])

    def __call__(self, text: str) -> str:
        """Return ``text`` without secrets."""
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        text = _URL_PASSWORD.sub(rf"\1:{REDACTED}@", text)
        return _AUTHORIZATION.sub(rf"\1 {REDACTED}", text)
