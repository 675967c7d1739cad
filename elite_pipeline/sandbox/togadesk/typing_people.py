"""People at the helpdesk: who types what, and on which ticket.

What does not belong here: which rows come of it (``application``), the texts (``sandbox.data.words``),
and rows from before any sync (``seed``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from elite_pipeline.errors import ConfigurationError
from elite_pipeline.sandbox.data import words
from elite_pipeline.sandbox.data.files import file_content
from elite_pipeline.sandbox.dice import Dice
from elite_pipeline.sandbox.togadesk.application import Application
from elite_pipeline.togadesk import tables

#: They write on one of so many tickets that were made last, and as many of them are there.
_MOST = 50

_PRIORITIES = ("Low", "Normal", "Normal", "Normal", "High")
#: Statuses from which a user's reply opens a ticket again.
_SETTLED = frozenset({"Answered", "Closed"})


@dataclass(frozen=True, slots=True)
class Activity:
    """How much is typed.

    Attributes:
        tickets: New tickets, each with its description.
        replies: Replies, by staff and by users in turns.
        comments: Comments, by staff.
        files: Files, uploaded with the replies of the same activity, descriptions included.
    """

    tickets: int = 0
    replies: int = 0
    comments: int = 0
    files: int = 0


class Typed(NamedTuple):
    """Ids of the rows that were made, in the order of making.

    A ticket's description is one of the replies.
    """

    tickets: tuple[int, ...]
    replies: tuple[int, ...]
    comments: tuple[int, ...]
    files: tuple[int, ...]


class _Person(NamedTuple):
    id: int
    name: str
    email: str


#: Writes to the helpdesk's mailbox without being in its list of people.
_STRANGER = _Person(0, "Alex Doe", "alex.doe@stranger.example")


class TypingPeople:
    """The staff and the users of one client, at work.

    Args:
        engine: The helpdesk's database, from ``togadesk.connect``.
        client_id: The helpdesk's id of the client.
        departments: Departments whose tickets they make and write on.
        timezone: ``config.timezone``.
        uploads: The uploads folder; needed for files alone.
        seed: Same seed and same rows before, same rows after, but for the times.
        clock: Tells the time (aware).

    Attributes:
        application: For whoever wants a row to hold something in particular.

    Raises:
        ConfigurationError: No department.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        client_id: int,
        departments: Sequence[int],
        timezone: ZoneInfo,
        uploads: Path | None = None,
        seed: int = 1,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if not departments:
            raise ConfigurationError("People need at least one department to make tickets in.")
        self.application = Application(
            engine, client_id=client_id, timezone=timezone, uploads=uploads, clock=clock
        )
        self._engine = engine
        self._departments = tuple(departments)
        self._key = f"{seed}/typing/{client_id}"
        self._dice: Dice | None = None

    def type(self, activity: Activity) -> Typed:
        """Do some work: first the new tickets, then replies and comments in turns, then the files.

        Raises:
            ConfigurationError: There is no ticket to write on, no staff, or no uploads folder.
        """
        opened = [self.open_ticket() for _ in range(activity.tickets)]
        replies = [reply for _, reply in opened]
        comments: list[int] = []
        for number in range(max(activity.replies, activity.comments)):
            if number < activity.replies:
                replies.append(self.reply(self.some_ticket(), by_staff=number % 2 == 0))
            if number < activity.comments:
                comments.append(self.comment(self.some_ticket()))
        if activity.files and not replies:
            # the form with a file is a reply
            replies.append(self.reply(self.some_ticket(), by_staff=False))
        files = [self.upload(self._chance.pick(replies)) for _ in range(activity.files)]
        tickets = tuple(ticket for ticket, _ in opened)
        return Typed(tickets, tuple(replies), tuple(comments), tuple(files))

    def some_ticket(self) -> int:
        """Return the id of one of the latest tickets, of whatever origin.

        Raises:
            ConfigurationError: There is none.
        """
        table, client = tables.TICKETS, self.application.client_id
        query = sa.select(table.c.id).where(
            table.c.clientid == client, table.c.departmentid.in_(self._departments)
        )
        rows = self._rows(query.order_by(table.c.id.desc()).limit(_MOST))
        if not rows:
            raise ConfigurationError(
                f"The client {client} has no ticket in the departments "
                f"{', '.join(map(str, self._departments))} to write on; make one first."
            )
        return int(self._chance.pick(rows)[0])

    def open_ticket(
        self, *, subject: str | None = None, description: str | None = None
    ) -> tuple[int, int]:
        """Make a ticket of one of the users; return its id and that of its description's reply.

        Args:
            subject: A believable one if not given.
            description: HTML; a believable one if not given.
        """
        dice = self._chance
        user = self._user()
        model, site = dice.pick(words.MODELS).name, dice.pick(words.SITES).title()
        problem = dice.pick(words.PROBLEMS).format(model=model, site=site, person=user.name)
        request = dice.pick(words.REQUEST_TEXTS)
        text = request.format(problem=problem, site=site, person=user.name)
        row = {
            # random, and for people alone: two tickets may share one
            "ticket": dice.between(100_000, 999_999),
            "departmentid": dice.pick(self._departments),
            "userid": user.id,
            "email": user.email,
            "subject": problem if subject is None else subject,
            "priority": dice.pick(_PRIORITIES),
        }
        return self.application.open_ticket(row, text if description is None else description)

    def reply(self, ticket: int, *, by_staff: bool, message: str | None = None) -> int:
        """Write a reply, which moves the ticket's status; return its id.

        Args:
            ticket: ``tickets.id``.
            by_staff: Whether one of the staff answers (Answered), or the ticket's user writes again
                (Reopened, where it was Answered or Closed).
            message: HTML; a believable one if not given.
        """
        user, before = self._requester(ticket)
        texts = words.ANSWER_TEXTS if by_staff else words.FOLLOW_UP_TEXTS
        text = self._chance.pick(texts).format(person=user.name)
        author = self._staff() if by_staff else user
        reopened = "Reopened" if before in _SETTLED else None
        return self.application.reply(
            ticket,
            author.id,
            text if message is None else message,
            status="Answered" if by_staff else reopened,
        )

    def comment(self, ticket: int, *, comment: str | None = None) -> int:
        """Let one of the staff comment on a ticket; return the comment's id.

        Args:
            ticket: ``tickets.id``.
            comment: HTML; a believable one if not given.
        """
        text = self._chance.pick(words.INTERNAL_TEXTS)
        return self.application.comment(
            ticket, self._staff().id, text if comment is None else comment
        )

    def upload(self, reply: int, *, name: str | None = None, content: bytes | None = None) -> int:
        """Upload a file with a reply; return the id of its row.

        Args:
            reply: ``tickets_replies.id``.
            name: A believable one if not given.
            content: Believable bytes if not given.

        Raises:
            ConfigurationError: There is no uploads folder.
        """
        name = self._chance.pick(words.FILE_NAMES) if name is None else name
        if content is None:
            _, content = file_content(self._chance, name, "Summe: 12 €")
        return self.application.upload(reply, name, content)

    # Who and what there is

    @property
    def _chance(self) -> Dice:
        if self._dice is None:
            # whoever comes back does not type the same again
            highest = sa.select(sa.func.max(tables.REPLIES.c.id))
            self._dice = Dice(f"{self._key}/{self._rows(highest)[0][0]}")
        return self._dice

    def _requester(self, ticket: int) -> tuple[_Person, str]:
        """Return the user of a ticket, and the ticket's status."""
        table = tables.TICKETS
        query = sa.select(table.c.userid, table.c.status).where(table.c.id == ticket)
        rows = self._rows(query)
        if not rows:
            raise ConfigurationError(f"There is no ticket {ticket} to write on.")
        user, status = rows[0]
        known = self._people(tables.PEOPLE.c.id == user)
        return (known[0] if known else _STRANGER), str(status)

    def _user(self) -> _Person:
        table = tables.PEOPLE
        users = self._people(
            table.c.type != "admin", table.c.clientid == self.application.client_id
        )
        return self._chance.pick(users) if users else _STRANGER

    def _staff(self) -> _Person:
        staff = self._people(tables.PEOPLE.c.type == "admin")
        if not staff:
            raise ConfigurationError(
                "Nobody of the helpdesk's staff is there to write; seed the helpdesk first "
                "(elite-pipeline sandbox togadesk seed)."
            )
        return self._chance.pick(staff)

    def _people(self, *conditions: sa.ColumnElement[bool]) -> list[_Person]:
        table = tables.PEOPLE
        query = sa.select(table.c.id, table.c.name, table.c.email).where(*conditions)
        # those who were there first: a sync may bring thousands
        return [_Person(*row) for row in self._rows(query.order_by(table.c.id).limit(_MOST))]

    def _rows(self, query: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        with self._engine.connect() as connection:
            return connection.execute(query).all()
