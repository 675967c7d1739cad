"""Taking secrets out of text before it reaches a log, an error, metadata or an event."""

import base64
import re
from collections.abc import Iterable

from elite_pipeline.transport.spellings import Spellings

REDACTED = "[redacted]"

#: ``user:password@`` in an address, whoever's it is; it ends where a string of JSON does.
_URL_PASSWORD = re.compile(r"(:\\*/\\*/[^/\s:@\"\\<>]*):([^/\s@\"\\<>]*)@")
#: The credentials of an Authorization header that strayed into a message.
_AUTHORIZATION = re.compile(r"\b(Basic|Bearer)\s+[A-Za-z0-9+/=._~-]{8,}", re.IGNORECASE)
#: What makes an address open without a password for a while.
_SIGNATURE = re.compile(
    r"((?:signature|security-token|x-amz-credential|(?:[?&;]|u0026|%26|%3f)"
    r"(?:token|expires|x-amz-expires))(?:=|%3d))[^&\s\"'\\<>]+",
    re.IGNORECASE,
)
#: What lets its holder in, whatever stands before it (RFC 7519).
_JSON_WEB_TOKEN = re.compile(r"\beyJ[\w-]{8,}+\.[\w-]++\.[\w-]++")
#: One of these is in every text that :data:`_SIGNATURE` could be found in.
_OPENERS = tuple(
    f"{name}{mark}" for name in ("signature", "token", "expires") for mark in ("=", "%3d")
)


class Redactor:
    """Replaces known secrets, and what has the shape of one, in text.

    A secret is also known in the spellings that it has inside JSON, HTML and an address.

    Args:
        secrets: Values that must never be shown. Values shorter than four characters are left out:
            replacing them would tear ordinary text apart without hiding anything.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({one for one in secrets if len(one) >= 4}, key=len, reverse=True)
        self._secrets = [Spellings.of(secret) for secret in known]

    @classmethod
    def for_basic_auth(cls, user: str, password: str, others: Iterable[str] = ()) -> "Redactor":
        """Build one that also knows the encoded form of HTTP Basic credentials."""
        return cls([user, password, basic_auth(user, password), *others])

    @property
    def longest(self) -> int:
        """Characters of the longest secret, however it is spelled."""
        return max((secret.most_chars for secret in self._secrets), default=0)

    def __call__(self, text: str) -> str:
        """Return ``text`` without secrets."""
        # Searching for plain text is many times quicker than for a pattern, and for one character many
        # times quicker still; most text has none.
        there = [secret.pattern for secret in self._secrets if secret.may_be_in(text)]
        if there:
            text = re.sub("|".join(there), REDACTED, text)
        if "/" in text and ("://" in text or ":\\/" in text):
            text = _URL_PASSWORD.sub(rf"\1:{REDACTED}@", text)
        lowered = text.lower()
        if "basic" in lowered or "bearer" in lowered:
            text = _AUTHORIZATION.sub(rf"\1 {REDACTED}", text)
        if ("=" in text or "%" in text) and any(mark in lowered for mark in _OPENERS):
            text = _SIGNATURE.sub(rf"\1{REDACTED}", text)
        if "eyJ" in text:
            text = _JSON_WEB_TOKEN.sub(REDACTED, text)
        return text


def basic_auth(user: str, password: str) -> str:
    """Return what an Authorization header holds of the two."""
    return base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
