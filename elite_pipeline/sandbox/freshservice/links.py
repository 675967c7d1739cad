"""Links to attachments and embedded images: made, and checked when they are followed.

They lie on a host name of their own, are signed, and a link to an attachment is another each time.
"""

import base64
import hmac
import json
import re
import secrets
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote

from elite_pipeline.sandbox.freshservice.settings import AccountSpec, Settings
from elite_pipeline.sandbox.serving.clock import Clock

#: How an embedded image is written into a body: as live data have it; with odd blanks and quotes;
#: without its id; in the older way, as a path or as an address.
ImageStyle = Literal["plain", "spaced", "no-id", "legacy", "legacy-address"]

#: Stands in a stored body for an embedded image.
_PLACEHOLDER: Final = re.compile(r"<!--image:(\d+):([a-z-]+)-->")
_SIGNED: Final = re.compile(r"/data/helpdesk/attachments/production/(\d+)/original/.+")
_LEGACY: Final = re.compile(r"/helpdesk/attachments/(\d+)")
_INLINE: Final = "/inline/attachment"


@dataclass(frozen=True)
class Followed:
    """A link that somebody follows.

    Attributes:
        attachment: Whose bytes it leads to; ``None`` where it leads nowhere.
        good: Whether it is genuine and still good.
        legacy: Whether it is one of the old ones, which are not signed.
    """

    attachment: int | None
    good: bool
    legacy: bool = False


def placeholder(attachment: int, style: ImageStyle) -> str:
    """Return what stands in a stored body for an embedded image."""
    return f"<!--image:{attachment}:{style}-->"


class Links:
    """The links of one account."""

    def __init__(self, spec: AccountSpec, settings: Settings, clock: Clock) -> None:
        self._key = f"links/{spec.name}/{spec.api_key}".encode()
        self._settings = settings
        self._clock = clock
        self._generation = 0
        self.port = spec.port

    def expire(self) -> None:
        """Make every link that was given out expire now."""
        self._generation += 1

    def attachment(self, attachment: int, name: str) -> str:
        """Return a fresh link to an attachment."""
        expires = self._expires()
        nonce = secrets.token_hex(6)
        signature = f"{nonce}~{self._sign(f'{attachment}/{expires}/{nonce}/{self._generation}')}"
        return (
            f"{self._host}/data/helpdesk/attachments/production/{attachment}/original/"
            f"{quote(name, safe='')}?response-content-type=&Expires={expires}"
            f"&Signature={signature}&Key-Pair-Id=APKASANDBOX"
        )

    def body(self, stored: str, base_url: str) -> str:
        """Return a stored body with its embedded images."""
        return _PLACEHOLDER.sub(
            lambda found: self._image(int(found[1]), found[2], base_url), stored
        )

    def follow(self, path: str, query: dict[str, str]) -> Followed | None:
        """Return where a path leads, or ``None`` if it is not one of a link."""
        if found := _SIGNED.fullmatch(path):
            nonce, _, signature = query.get("Signature", "").partition("~")
            expires = query.get("Expires", "")
            signed = f"{found[1]}/{expires}/{nonce}/{self._generation}"
            return Followed(int(found[1]), self._good(signed, signature, expires))
        if found := _LEGACY.fullmatch(path):
            return Followed(int(found[1]), good=True, legacy=True)
        if path != _INLINE:
            return None
        head, _, rest = query.get("token", "").partition(".")
        claims, _, signature = rest.partition(".")
        try:
            told = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
            attachment, expires = int(told["id"]), str(told.get("exp", ""))
            generation = int(told.get("generation", self._generation))
        except (ValueError, KeyError, TypeError, AttributeError):
            return Followed(None, good=False)
        good = self._good(f"{head}.{claims}", signature, expires)
        return Followed(attachment, good and generation == self._generation)

    def _image(self, attachment: int, style: str, base_url: str) -> str:
        if style == "legacy":
            return f'<img src="/helpdesk/attachments/{attachment}">'
        if style == "legacy-address":
            return f'<img src="{base_url}/helpdesk/attachments/{attachment}" alt="" />'
        source = f"{self._host}{_INLINE}?token={self._token(attachment)}"
        if style == "spaced":
            return f"<img  data-id = '{attachment}'\n src = '{source}'  class='inline-image' />"
        if style == "no-id":
            return f'<img class="inline-image" src="{source}">'
        return f'<img src="{source}" class="inline-image" data-id="{attachment}">'

    def _token(self, attachment: int) -> str:
        claims: dict[str, object] = {"id": attachment, "domain": "sandbox"}
        if self._settings.inline_expire:
            claims |= {"exp": self._expires(), "generation": self._generation}
        signed = f"{_base64({'alg': 'HS256', 'typ': 'JWT'})}.{_base64(claims)}"
        return f"{signed}.{self._sign(signed)}"

    @property
    def _host(self) -> str:
        return f"http://{self._settings.attachment_host}:{self.port}"

    def _expires(self) -> int:
        return int(self._clock().timestamp() + self._settings.link_lifetime_seconds)

    def _sign(self, text: str) -> str:
        digest = hmac.digest(self._key, text.encode(), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def _good(self, signed: str, signature: str, expires: str) -> bool:
        if not hmac.compare_digest(self._sign(signed).encode(), signature.encode()):
            return False
        return not expires or self._clock().timestamp() < int(expires)


def _base64(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
