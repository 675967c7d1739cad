"""Single requests to Freshservice with a client's key: one record, one list, one page.

What does not belong here: what they are made for (``client``), and how they are spelled (``wire``).
"""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import NoReturn, TypeVar

from elite_pipeline.errors import (
    ConfigurationError,
    HttpStatusError,
    PermanentHttpError,
    SystemicHttpError,
)
from elite_pipeline.freshservice import wire
from elite_pipeline.freshservice.errors import GoneError, RefusedError
from elite_pipeline.transport import Answer, Transport, parse_http_date

T = TypeVar("T")
E = TypeVar("E", GoneError, RefusedError)

#: By convention any password goes with an API key [D].
_ANY = "X"
#: The code of a 403 that is about the key itself, as a 401 is.
_WRONG_KEY = "invalid_credentials"
_REFUSED_STATUS = 403
_GONE_STATUS = 404
#: The list on which all others hang: who may not read it can do nothing at all.
_TICKETS = "/tickets"


class Calls:
    """What requests of one client have in common. Safe to use from several threads.

    All of them raise TransientError, PermanentError and SystemicError as the transport says.
    """

    def __init__(self, transport: Transport, *, api_url: str, api_key: str) -> None:
        self._transport = transport
        self._api_url = api_url
        self._auth = (api_key, _ANY)
        self._guard = threading.Lock()
        self._now_there: datetime | None = None
        self._list_started: datetime | None = None

    @property
    def redact(self) -> Callable[[str], str]:
        """Takes the secrets out of a text."""
        return self._transport.redact

    @property
    def sent(self) -> int:
        """Requests sent so far, retries included."""
        return self._transport.calls

    @property
    def now_there(self) -> datetime | None:
        """The time of the latest answer by Freshservice's own clock; None: it did not say."""
        with self._guard:
            return self._now_there

    @property
    def list_started(self) -> datetime | None:
        """When the latest timed list began, by Freshservice's own clock; None: it did not say."""
        with self._guard:
            return self._list_started

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def one(self, path: str, key: str, *, kind: str = "") -> dict[str, object]:
        """Read one record.

        Args:
            path: Its address below the version.
            key: The envelope's.
            kind: What the budget counts the call as.

        Raises:
            GoneError: There is none.
            RefusedError: The key's agent may not see it.
        """
        return self._get(path, partial(wire.read_one, key), (), kind).body

    def whole(self, path: str, key: str) -> list[object]:
        """Read a list that has no pages."""
        return self._get(path, partial(wire.read_list, key), (), "").body

    def page(
        self,
        path: str,
        key: str,
        number: int,
        params: Sequence[tuple[str, str]] = (),
        *,
        kind: str = "",
        is_timed: bool = False,
    ) -> tuple[list[object], bool]:
        """Read one page of a list; return its records, and whether there is a next page.

        Args:
            path: The list's address below the version.
            key: The envelope's.
            number: From 1.
            params: What else is asked for.
            kind: What the budget counts the call as.
            is_timed: Whether this is the beginning of a list whose beginning is of interest.

        Raises:
            GoneError: What the list hangs on is not there.
            RefusedError: The key's agent may not see it.
        """
        asked = [*params, ("per_page", str(wire.PAGE_SIZE)), ("page", str(number))]
        answer = self._get(path, partial(wire.read_list, key), asked, kind)
        if is_timed:
            with self._guard:
                self._list_started = parse_http_date(answer.headers.get("Date"))
        return answer.body, wire.has_next_page(answer.headers)

    def _get(
        self,
        path: str,
        read: Callable[[bytes], T],
        params: Sequence[tuple[str, str]],
        kind: str,
    ) -> Answer[T]:
        try:
            answer = self._transport.request(
                "GET",
                f"{self._api_url}{path}",
                parse=read,
                read_error=wire.read_error,
                headers={"Accept": "application/json"},
                auth=self._auth,
                params=params,
                repeatable=True,
                kind=kind,
            )
        except (PermanentHttpError, SystemicHttpError) as error:
            _raise_better(error, path)
        moment = parse_http_date(answer.headers.get("Date"))
        if moment is not None:
            with self._guard:
                self._now_there = moment
        return answer


def _raise_better(error: HttpStatusError, path: str) -> NoReturn:
    """Tell what concerns one record from what concerns the account."""
    is_record = path != _TICKETS
    if error.status == _GONE_STATUS and is_record:
        raise _as(GoneError, error) from None
    if error.status == _GONE_STATUS:
        advice = (
            "A list that is not there means that the address is wrong: check freshservice.base_url in "
            "the registry."
        )
        raise ConfigurationError(
            f"{error} {advice}", unquoted=f"{error.unquoted} {advice}"
        ) from None
    if error.status == _REFUSED_STATUS and is_record and error.code != _WRONG_KEY:
        # a good key has its agent's role: it may see one ticket and not another
        said = f"Freshservice: {path}: the key's agent may not see it (403)."
        advice = "Give that agent a role and groups that may."
        code = f" {error.code}." if error.code in {"access_denied", "require_feature"} else ""
        raise RefusedError(f"{said}{code} {advice}", status=error.status, code=error.code) from None
    raise error


def _as(kind: type[E], error: HttpStatusError) -> E:
    return kind(str(error), status=error.status, code=error.code, unquoted=error.unquoted)
