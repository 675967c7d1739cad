"""The host of the attachments: bytes for whoever has a good link, and nothing else.

It belongs to somebody else than the API: a request that brings credentials here has leaked them.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from elite_pipeline.sandbox.freshservice.account import Account
from elite_pipeline.sandbox.freshservice.links import Followed
from elite_pipeline.sandbox.freshservice.settings import Settings
from elite_pipeline.sandbox.serving.wire import Answer

_XML: Final = b"application/xml"


class Downloads:
    """Answers requests for the bytes of attachments and embedded images."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def answer(
        self,
        method: str,
        followed: Followed | None,
        account: Account,
        headers: Mapping[bytes, bytes],
    ) -> Answer:
        """Answer one request."""
        if b"authorization" in headers:
            account.leaks += 1
            return _problem(400, "InvalidArgument", "Only one auth mechanism allowed")
        if followed is None:
            return _problem(404, "NoSuchKey", "There is nothing here")
        if method != "GET":
            return _problem(405, "MethodNotAllowed", "The method is not allowed")
        on_host = _name(headers) == self._settings.attachment_host.lower()
        if not followed.good or followed.attachment is None or not (on_host or followed.legacy):
            return _problem(403, "AccessDenied", "Access denied or request has expired")
        return self._bytes(followed, account)

    def _bytes(self, followed: Followed, account: Account) -> Answer:
        """Return the bytes that a good link leads to, or the way to them."""
        found = account.record("attachment", followed.attachment or 0)
        if found is None:
            return _problem(404, "NoSuchKey", "The attachment does not exist")
        name = found.document["name"]
        if followed.legacy and self._settings.legacy_redirects:
            location = account.links.attachment(found.id, name).encode()
            return Answer(302, b"", headers=((b"location", location),))
        disposition = f"inline; filename*=UTF-8''{quote(name, safe='')}"
        return Answer(
            200,
            account.content(found.id),
            found.document["content_type"].encode("latin-1", "replace"),
            ((b"content-disposition", disposition.encode()),),
        )


def _name(headers: Mapping[bytes, bytes]) -> str:
    host = headers.get(b"host", b"").decode("latin-1").lower()
    return host.rpartition(":")[0] or host


def _problem(status: int, code: str, message: str) -> Answer:
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    )
    return Answer(status, text.encode(), _XML)
