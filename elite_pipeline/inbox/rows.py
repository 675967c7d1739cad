"""What the inbox takes and gives: webhooks on their way in, and rows as they are asked for.

Times are aware, UTC.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook to be stored.

    Attributes:
        action: Whose it is.
        payload: Its body.
        headers: A JSON object, without secrets.
        uuid: Names the row for whoever sent it.
        arrived: When it came.
    """

    action: str
    payload: str
    headers: str
    uuid: str = field(default_factory=lambda: str(uuid4()))
    arrived: datetime = field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def of(cls, action: str, payload: str, headers: Mapping[str, str]) -> "Webhook":
        """Return one whose headers are still to be written as JSON."""
        return cls(action, payload, json.dumps(dict(headers), ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class Arrival:
    """A row, as a cursor passes it."""

    id: int
    action: str
    status: str


@dataclass(frozen=True, slots=True)
class Due:
    """What can be worked on at once of one action.

    Attributes:
        count: Rows.
        first_id, last_id: The first and the last of them; rows in between may not be due.
    """

    action: str
    count: int
    first_id: int
    last_id: int


@dataclass(frozen=True, slots=True)
class Row:
    """A row to be worked on.

    Attributes:
        payload: Empty where whoever inserted it gave none.
        attempts: How often it has failed so far.
        arrived: When it was received.
    """

    id: int
    payload: str
    attempts: int
    arrived: datetime


@dataclass(frozen=True, slots=True)
class DeadRow:
    """A row that nothing tries any more, or one that is shown to a person.

    Attributes:
        error: Why it failed last; empty when it has not.
        retry_after: When it is tried again; None: at once, or not at all.
        finished: When it was done or given up.
    """

    id: int
    action: str
    status: str
    attempts: int
    arrived: datetime
    error: str
    retry_after: datetime | None
    finished: datetime | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What of an action could be worked on, and is not.

    Attributes:
        rows: Not tried yet, or to be tried again by now.
        since: Since when the first of them could be; None: nothing says, or there are none.
        dead: Given up.
    """

    rows: int
    since: datetime | None
    dead: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows of an action are not done.

    Attributes:
        waiting: Not tried yet.
        failed: To be tried again.
        dead: Not tried any more.
        oldest: When the first of those waiting or failed was received; None: there are none.
    """

    waiting: int
    failed: int
    dead: int
    oldest: datetime | None
