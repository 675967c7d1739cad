"""What a dead letter is, and when it is due again (``spec/sync.md`` section 8).

What does not belong here: where they are kept (``dead_letters``, ``dead_letter_office``).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from elite_pipeline.ledger.tables import MOST_NAME_CHARS, dead_letters

LetterKind = Literal["transient", "permanent"]
#: Entity and record.
Name = tuple[str, str]

#: After so many attempts a letter is parked: it waits for a person.
LIMIT = 12

#: The longest reason that is kept, in characters.
MOST_ERROR_CHARS = 2000

_FIRST_DELAY = timedelta(minutes=1)
_LONGEST_DELAY = timedelta(hours=6)
_HASH_CHARS = 16


def delay(attempts: int) -> timedelta:
    """Return how long to wait after the last of so many attempts (>= 1)."""
    # beyond it the longest is reached, and two to the power of anything must not be computed
    doublings = min(attempts - 1, 20)
    return min(_FIRST_DELAY * (1 << doublings), _LONGEST_DELAY)


@dataclass(frozen=True, slots=True)
class Failed:
    """Something that failed just now.

    Attributes:
        flow: Which flow met it.
        entity: What is tried again as a whole, e.g. a ticket.
        record: What exactly failed: a note or a file of it, or the entity itself.
        kind: Whether it may work by itself, or only after somebody has changed something.
        error: Why; one message without secrets.
        updated: The record's own time as its source gave it, aware; None: unknown.
        unretriable: Nothing says what to try again, so that it is parked at once.
    """

    flow: str
    entity: str
    record: str
    kind: LetterKind
    error: str
    updated: datetime | None = None
    unretriable: bool = False


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What failed, and has not come through since. Times are aware, UTC, in whole seconds.

    Attributes:
        entity, record: See :class:`Failed`; longer ones end in a hash of the whole.
        attempts: How often it has failed since it came here, or since a person asked for a retry.
        next_attempt: When a run tries it again; None: it is parked.
        updated: The record's own time as its source gave it.
    """

    client: str
    flow: str
    entity: str
    record: str
    kind: LetterKind
    error: str
    attempts: int
    first_failed: datetime
    last_failed: datetime
    next_attempt: datetime | None
    updated: datetime | None

    @property
    def parked(self) -> bool:
        """Whether it waits for a person, and no run tries it."""
        return self.next_attempt is None

    @property
    def id(self) -> str:
        """What names it for a person: 64 hexadecimal digits, the same for its whole life."""
        return letter_id(self.client, self.flow, self.entity, self.record)


def letter_id(client: str, flow: str, entity: str, record: str) -> str:
    """Return :attr:`DeadLetter.id`."""
    whole = f"{client}\0{flow}\0{entity}\0{record}"
    return hashlib.sha256(whole.encode("utf-8", "backslashreplace")).hexdigest()


def fitted(name: str) -> str:
    """Return the form in which the name of an entity or a record is kept.

    A name that is too long, or that a database would take for another one, ends in a hash of itself.
    """
    storable = _storable(name)
    # databases compare with blanks at the end left out
    if storable == name and len(name) <= MOST_NAME_CHARS and not name.endswith(" "):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARS]
    return f"{storable[: MOST_NAME_CHARS - _HASH_CHARS - 1]}~{digest}"


def stored_error(error: str) -> str:
    """Return the form in which a reason is kept: cut, with a visible mark."""
    text = _storable(error)
    return text if len(text) <= MOST_ERROR_CHARS else f"{text[: MOST_ERROR_CHARS - 1]}…"


def stored_time(moment: datetime) -> datetime:
    """Return an aware instant as the table has it: UTC, without a zone, in whole seconds.

    Raises:
        ValueError: It is not aware.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0)


def row_after(
    client: str, failed: Failed, known: DeadLetter | None, now: datetime
) -> dict[str, Any]:
    """Return the row of a letter after one more failure.

    Args:
        client: Whose it is.
        failed: What happened.
        known: The letter before it; None: there is none.
        now: Aware.
    """
    attempts = (known.attempts if known else 0) + 1
    stays = attempts >= LIMIT or failed.unretriable or (known is not None and known.parked)
    moment = stored_time(now)
    # one that could not be read this time is no newer than it was
    updated = failed.updated or (known.updated if known else None)
    return {
        "client": client,
        "flow": failed.flow,
        "entity": fitted(failed.entity),
        "record": fitted(failed.record),
        "kind": failed.kind,
        "error": stored_error(failed.error),
        "attempts": attempts,
        "first_failed": stored_time(known.first_failed) if known else moment,
        "last_failed": moment,
        "next_attempt": None if stays else moment + delay(attempts),
        "updated": stored_time(updated) if updated else None,
    }


def letter_of(row: Mapping[Any, Any]) -> DeadLetter:
    """Return the letter that a row of the table holds."""
    given = {column.name: row[column.name] for column in dead_letters.columns}
    for name in ("first_failed", "last_failed", "next_attempt", "updated"):
        if given[name] is not None:
            given[name] = given[name].replace(tzinfo=UTC)
    return DeadLetter(**given)


def _storable(text: str) -> str:
    # half of a surrogate pair is in no encoding, and NUL ends a string for some
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")
