"""Freshservice as the engine sees it: a ticket with all its conversations, people, groups, files.

Follows ``spec/freshservice.md``. Only reading: nothing is ever written there. A single conversation
cannot be read (405), so there is no way to ask for one.

What does not belong here: the single request (``calls``), how anything is spelled (``wire``), where
links may lead (``links``), and how many calls are allowed (``limits``, ``ledger.rate_budget``).
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import BinaryIO, TypeVar
from urllib.parse import urljoin, urlsplit

from elite_pipeline.errors import PermanentError, SystemicError, TransientError
from elite_pipeline.freshservice import wire
from elite_pipeline.freshservice.calls import Calls
from elite_pipeline.freshservice.errors import ExpiredLinkError, GoneError, RefusedError
from elite_pipeline.freshservice.limits import LIST_TICKETS, VIEW_TICKET
from elite_pipeline.freshservice.models import (
    Conversation,
    Group,
    Malformed,
    Person,
    Ticket,
    TicketHead,
    choices_in,
    parse,
    parse_person,
)
from elite_pipeline.freshservice.once import Once
from elite_pipeline.transport import Downloaded, Downloader, Transport

T = TypeVar("T")

__all__ = ["Downloaded", "FreshserviceClient"]

#: Pages of one list: far more than any has.
_MOST_PAGES = 5_000
#: A list that changes while it is read is read again, so often at most.
_MOST_PASSES = 5
#: There is one form: it is remembered as if it had this number.
_FORM = 0
_LAST = datetime.max.replace(tzinfo=UTC)


class FreshserviceClient:
    """One client's access to its Freshservice account. Safe to use from several threads.

    People, groups and the form are asked for once each, for as long as this object lives.

    Args:
        transport: Its session, with the account's rate budget; closed with this client.
        downloads: Fetches files, without the key; closed with this client.
        api_url: Up to and with the version, without a trailing slash.
        api_key: Whose role decides what can be read.
        max_file_bytes: Larger files are refused.
    """

    def __init__(
        self,
        transport: Transport,
        downloads: Downloader,
        *,
        api_url: str,
        api_key: str,
        max_file_bytes: int,
    ) -> None:
        self._calls = Calls(transport, api_url=api_url, api_key=api_key)
        self._downloads = downloads
        self._api_url = api_url
        self._max_file_bytes = max_file_bytes
        self._people: Once[Person | None] = Once()
        self._groups: Once[Group | None] = Once()
        self._choices: Once[Mapping[tuple[str, ...], int]] = Once()

    @property
    def calls(self) -> int:
        """Requests sent to the API so far, retries included; files are not counted there."""
        return self._calls.sent

    @property
    def redact(self) -> Callable[[str], str]:
        """Takes the secrets out of a text."""
        return self._calls.redact

    def close(self) -> None:
        """Close the connections."""
        self._calls.close()
        self._downloads.close()

    def now_there(self) -> datetime | None:
        """Return the time of the latest answer by Freshservice's own clock; None: it did not say."""
        return self._calls.now_there

    def list_started(self) -> datetime | None:
        """Return when the latest list of tickets began to be read, by Freshservice's own clock."""
        return self._calls.list_started

    # Tickets

    def ticket(self, number: int) -> Ticket:
        """Read a ticket with its own attachments.

        Raises:
            GoneError: There is none of that number, or not any more.
            RefusedError: The key may not see it.
            PermanentError: It is not what is documented.
            TransientError, SystemicError: As the transport says.
        """
        raw = self._calls.one(f"/tickets/{number:d}", "ticket", kind=VIEW_TICKET)
        return _readable(parse(Ticket, raw), f"ticket {number}")

    def conversations(self, number: int) -> list[Conversation | Malformed]:
        """Read all conversations of a ticket, the oldest first, each once.

        Their order on the wire is not stated, and one that is written meanwhile can move another one to
        the next page: each counts once. One that cannot be read stands in its place, or at the end where
        not even its time can be read. One that is deleted meanwhile can let the next page begin one too
        late; the next reading has it.

        Raises:
            GoneError, RefusedError, TransientError, PermanentError, SystemicError: As :meth:`ticket`.
        """
        found: dict[object, Conversation | Malformed] = {}
        path = f"/tickets/{number:d}/conversations"
        for page in range(1, _MOST_PAGES + 1):
            raws, has_next = self._calls.page(path, "conversations", page)
            # one that moved comes again, as it is now
            fresh = {_key(one): one for one in (parse(Conversation, raw) for raw in raws)}
            if has_next and fresh.keys() <= found.keys():
                raise _stuck(f"conversations of ticket {number}")
            found |= fresh
            if not has_next:
                return sorted(found.values(), key=_place)
        raise PermanentError(
            f"Freshservice: ticket {number} has more than {len(found)} conversations."
        )

    def updated_tickets(self, since: datetime) -> Iterator[list[TicketHead | Malformed]]:
        """Yield the tickets that were changed since an instant, some at a time, in no order.

        Without trash and spam. A version of a ticket, its id and time of change, comes once.

        The pages are numbered, and neither their order nor their number is documented. What changes or
        vanishes while they are read can move others up by one, across the seam between a page that was
        read and one that was not. So a list of several pages is read again until a whole pass brings
        nothing new that had changed before the first pass began: what changed later stands in the next
        list in any case, if the watermark stays behind :meth:`list_started`.

        Args:
            since: Aware; whether it is included is not documented, so let it overlap.

        Raises:
            TransientError: The list does not come to rest; or as the transport says.
            PermanentError, SystemicError: As the transport says; never an empty page instead.
        """
        wanted = [("updated_since", wire.format_time(since))]
        seen: set[object] = set()
        started: datetime | None = None
        for turn in range(_MOST_PASSES):
            pages, missed = 0, 0
            for page in range(1, _MOST_PAGES + 1):
                is_first = turn == 0 and page == 1
                raws, has_next = self._calls.page(
                    "/tickets", "tickets", page, wanted, kind=LIST_TICKETS, is_timed=is_first
                )
                if is_first:
                    started = self.list_started()
                parsed = {_version(one): one for one in (parse(TicketHead, raw) for raw in raws)}
                fresh = [one for version, one in parsed.items() if version not in seen]
                if turn == 0 and has_next and not fresh:
                    raise _stuck("tickets")
                seen |= parsed.keys()
                missed += sum(_changed_before(one, started) for one in fresh)
                if fresh:
                    yield fresh
                pages += 1
                if not has_next:
                    break
            else:
                raise SystemicError(
                    f"Freshservice: the list of tickets has no end: more than {pages} pages. Check that "
                    "freshservice.base_url in the registry is Freshservice's own address."
                )
            if pages == 1 or (turn and not missed):
                return
        raise TransientError(
            f"Freshservice: the list of tickets did not come to rest in {_MOST_PASSES} passes; the next "
            "sweep reads it again."
        )

    # What they refer to

    def person(self, number: int) -> Person | None:
        """Read who has this id, a requester or an agent; None: neither knows it.

        Raises:
            RefusedError, TransientError, PermanentError, SystemicError: As :meth:`ticket`.
        """
        return self._people.get(number, self._find_person)

    def group(self, number: int) -> Group | None:
        """Read a group; None: there is none of that id.

        Raises:
            RefusedError, TransientError, PermanentError, SystemicError: As :meth:`ticket`.
        """
        return self._groups.get(number, self._find_group)

    def category_choices(self) -> Mapping[tuple[str, ...], int]:
        """Return path of names -> id of the choice in the ticket's form.

        Raises:
            RefusedError, TransientError, PermanentError, SystemicError: As :meth:`ticket`.
        """
        return self._choices.get(
            _FORM,
            lambda _: choices_in(self._calls.whole("/ticket_form_fields", "ticket_fields")),
        )

    # Files

    def download(self, url: str, size: int | None, into: BinaryIO) -> Downloaded:
        """Fetch a file; the key is never sent along.

        Args:
            url: The link, as the latest list gave it; an old one in a text may be without a host.
            size: What Freshservice says that it has, in bytes; None: it does not say.
            into: Written to from where it stands; after an error, nothing of the file is left in it.

        Raises:
            ForbiddenHostError: The link leads to where nothing may be fetched from.
            TooLargeError: It is larger than what is carried over.
            ExpiredLinkError: The link is not valid any more.
            SizeMismatchError, TransientError, PermanentError: As :class:`Downloader` says.
        """
        address = urljoin(f"{self._api_url}/", url) if url.startswith("/") else url
        if not _is_old(address, self._api_url):
            return self._downloads.fetch(address, into, size=size, most=self._max_file_bytes)
        # it carries no signature: who has no session there may be asked to sign in, in several ways
        start = into.tell()
        try:
            got = self._downloads.fetch(address, into, size=size, most=self._max_file_bytes)
        except ExpiredLinkError:
            raise _behind_a_session() from None
        if got.content_type == "text/html":
            into.seek(start)
            into.truncate()
            raise _behind_a_session()
        return got

    def _find_person(self, number: int) -> Person | None:
        refused: RefusedError | None = None
        for path, key in (("/requesters", "requester"), ("/agents", "agent")):
            try:
                raw = self._calls.one(f"{path}/{number:d}", key)
            except GoneError:
                continue
            except RefusedError as error:
                # a role may see the one and not the other
                refused = error
                continue
            return _readable(parse_person(raw, is_agent=key == "agent"), f"{key} {number}")
        if refused is not None:
            raise refused
        return None

    def _find_group(self, number: int) -> Group | None:
        try:
            raw = self._calls.one(f"/groups/{number:d}", "group")
        except GoneError:
            return None
        return _readable(parse(Group, raw), f"group {number}")


def _readable(record: T | Malformed, name: str) -> T:
    if isinstance(record, Malformed):
        raise PermanentError(f"Freshservice: {name}: {record.reason}")
    return record


def _key(one: Conversation | Malformed) -> object:
    return one.name if isinstance(one, Malformed) else str(one.id)


def _place(one: Conversation | Malformed) -> tuple[datetime, int]:
    if isinstance(one, Malformed):
        return one.created or _LAST, one.id or 0
    return one.created_at, one.id


def _version(one: TicketHead | Malformed) -> object:
    return (one.id, one.updated_at) if isinstance(one, TicketHead) else one


def _changed_before(one: TicketHead | Malformed, moment: datetime | None) -> bool:
    updated = one.updated if isinstance(one, Malformed) else one.updated_at
    return moment is None or updated is None or updated < moment


def _stuck(what: str) -> TransientError:
    return TransientError(
        f"Freshservice: the list of {what} does not move on: a next page is named, and it is the same."
    )


def _is_old(address: str, api_url: str) -> bool:
    """Tell whether a link is one of the old kind, to the account itself."""
    account = urlsplit(api_url)
    return address.startswith(f"{account.scheme}://{account.netloc}/helpdesk/attachments/")


def _behind_a_session() -> PermanentError:
    return PermanentError(
        "Freshservice: an old link to a file leads to a page that asks to sign in; the file can only be "
        "seen there."
    )
