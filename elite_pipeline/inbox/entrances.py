"""Where webhooks may come in: one entrance for each client, opened by its secret.

``spec/freshservice.md``, "Webhooks". What does not belong here: where secrets come from (``settings``).
"""

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: A header's name and value as they went over the wire, the name in lower case.
RawHeader = tuple[bytes, bytes]

SECRET_HEADER = b"x-webhook-secret"


class Entrance:
    """One client's entrance.

    Args:
        client: The registry's key.
        action: What its rows are told by.
        secret: What a sender must know. Never shown.
    """

    def __init__(self, client: str, action: str, secret: str) -> None:
        self.client = client
        self.action = action
        # senders disagree on how letters beyond ASCII go into a header
        self._spellings = [secret.encode("utf-8")]
        if not secret.isascii() and all(ord(char) < 256 for char in secret):
            self._spellings.append(secret.encode("latin-1"))

    def opens_for(self, headers: Iterable[RawHeader]) -> bool:
        """Tell whether a request knows the secret, in its header or as Basic password.

        Takes as long for a wrong one as for the right one.
        """
        fits = False
        for given in _given(headers):
            for spelling in self._spellings:
                fits |= hmac.compare_digest(given, spelling)
        return fits


@dataclass(frozen=True, slots=True)
class Entrances:
    """All of them.

    Attributes:
        open: Client -> its entrance.
        closed: Client -> why it cannot be served although it should be; one message for an operator.
    """

    open: Mapping[str, Entrance]
    closed: Mapping[str, str]


def _given(headers: Iterable[RawHeader]) -> Iterable[bytes]:
    for name, value in headers:
        if name == SECRET_HEADER:
            yield value.strip()
        elif name == b"authorization":
            scheme, _, credentials = value.strip().partition(b" ")
            if scheme.lower() != b"basic":
                continue
            try:
                decoded = base64.b64decode(credentials.strip(), validate=True)
            except binascii.Error:
                continue
            _, colon, password = decoded.partition(b":")
            if colon:
                yield password
