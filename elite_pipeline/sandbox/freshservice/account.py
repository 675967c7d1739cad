"""One account of the sandbox, as a test or a service desk uses it: by hand, not over HTTP.

Whatever changes a ticket or a conversation here (the API's writes come through here as well) is told to
the account's webhooks. What does not belong here: how records are spelled (``shapes``), HTTP (``api``),
and the people and groups that tickets refer to (``roster``).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from elite_pipeline.sandbox.freshservice.call_log import Call, CallLog
from elite_pipeline.sandbox.freshservice.files import File, Given, Image, files, images
from elite_pipeline.sandbox.freshservice.links import Links, placeholder
from elite_pipeline.sandbox.freshservice.roster import CLOSED, Roster
from elite_pipeline.sandbox.freshservice.settings import PLANS, AccountSpec, Budget, Settings
from elite_pipeline.sandbox.freshservice.shapes import Shapes
from elite_pipeline.sandbox.freshservice.store import Record, Store, Writer
from elite_pipeline.sandbox.freshservice.webhooks import Event, Webhooks
from elite_pipeline.sandbox.serving.clock import Clock

#: What a conversation came from, by its number (``spec/freshservice.md``).
_FROM_EMAIL: Final = 0
_FROM_NOTE: Final = 2

_NEW_TICKET: Final[Mapping[str, Any]] = {
    "workspace_id": 2,
    "subject": "",
    "description": "",
    "status": 2,
    "priority": 2,
    "source": 2,
    "type": "Incident",
    "requester_id": None,
    "requested_for_id": None,
    "responder_id": None,
    "group_id": None,
    "department_id": None,
    "category": None,
    "sub_category": None,
    "item_category": None,
    "email_config_id": None,
    "to_emails": None,
    "cc_emails": [],
    "fwd_emails": [],
    "reply_cc_emails": [],
    "tags": [],
    "custom_fields": {},
    "fr_escalated": False,
    "is_escalated": False,
    "deleted": False,
    "spam": False,
}
CATEGORY_FIELDS: Final = ("category", "sub_category", "item_category")


class Account(Roster):
    """An account: its people, tickets and webhooks, and the log of its calls.

    Attributes:
        name: What the sandbox calls it.
        spec: Its name, key, plan and port.
        log: The calls that arrived for it.
        downloads: The requests for the bytes of attachments, which count for no limit.
        leaks: How many of those carried an ``Authorization`` header.
        webhooks: Tells a receiver of changes, once it has been given one.
        shapes: Spells its records.
        links: Its links.
    """

    def __init__(self, spec: AccountSpec, store: Store, settings: Settings, clock: Clock) -> None:
        super().__init__(spec.name, store, clock)
        self.spec = spec
        self.log = CallLog(PLANS[spec.plan])
        self.downloads: list[Call] = []
        self.leaks = 0
        self.links = Links(spec, settings, clock)
        self.webhooks = Webhooks(spec.name)
        self._settings = settings
        self.port = spec.port
        self.shapes = Shapes(settings, self.links, self.base_url)

    @property
    def api_key(self) -> str:
        """The key that opens it."""
        return self.spec.api_key

    @property
    def base_url(self) -> str:
        """Where it is, without a slash at the end; the API lies below ``/api/v2``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_url(self) -> str:
        """The base of its API, without a slash at the end."""
        return f"{self.base_url}/api/v2"

    def listen_on(self, port: int) -> None:
        """Take note of where it listens."""
        self.port = self.links.port = port
        self.shapes = Shapes(self._settings, self.links, self.base_url)

    def new_ticket(
        self,
        subject: str = "It does not work",
        description: str = "<div>It does not work.</div>",
        *,
        requester: int | None = None,
        files: Iterable[Given] = (),
        images: Iterable[Given] = (),
        category: tuple[str, ...] = (),
        age_seconds: float = 0.0,
        **own: Any,
    ) -> int:
        """Open a ticket and return its number.

        Args:
            subject: Its subject.
            description: The HTML of its description.
            requester: Who asks; the account's first requester by default.
            files: What is attached to it.
            images: What is embedded at the end of its description.
            category: The path of its category, of up to three names.
            age_seconds: How long ago it was created and last updated.
            own: More of its fields.
        """
        asking = self.requesters[0] if requester is None and self.requesters else requester
        with self._store.writing() as writer:
            ticket = writer.next_id(self.name, "ticket")
            now = self._now() - age_seconds
            document = {
                **_NEW_TICKET,
                "subject": subject,
                "description": description + self._embed(writer, images, now),
                "requester_id": asking,
                "requested_for_id": asking,
                **_category(category),
                **own,
            }
            writer.put(self.name, "ticket", Record(ticket, None, now, now, document))
            self._attach(writer, ticket, files, now)
        self._tell(ticket)
        return ticket

    def reply(
        self,
        ticket: int,
        body: str = "<div>Any news on this?</div>",
        *,
        author: int | None = None,
        private: bool = False,
        files: Iterable[Given] = (),
        images: Iterable[Given] = (),
        **own: Any,
    ) -> int:
        """Write a reply or, if it is private, a note; return the conversation's id.

        Args:
            ticket: The ticket.
            body: Its HTML.
            author: Who writes: by default the ticket's requester, or for a private one an agent.
            private: Whether requesters may not see it.
            files: What is attached to it.
            images: What is embedded at the end of its body.
            own: More of its fields.
        """
        head = self.ticket(ticket)
        agents = self.agents
        if author is None:
            author = agents[0] if private and agents else head.document["requester_id"]
        by_agent = author in agents
        with self._store.writing() as writer:
            now = self._now()
            conversation = writer.next_id(self.name, "conversation")
            document = {
                "user_id": author,
                "body": body + self._embed(writer, images, now),
                "incoming": not by_agent,
                "private": private,
                "source": _FROM_NOTE if private else _FROM_EMAIL,
                "support_email": None if private else "support@sandbox.example.net",
                "from_email": self._email(author),
                "to_emails": [],
                "cc_emails": [],
                "bcc_emails": [],
                **own,
            }
            writer.put(self.name, "conversation", Record(conversation, ticket, now, now, document))
            self._attach(writer, conversation, files, now)
            if self._settings.replies_touch_ticket:
                self._change(writer, "ticket", ticket, {}, now)
        self._tell(ticket)
        return conversation

    def edit_reply(self, conversation: int, **own: Any) -> None:
        """Change the fields of a conversation."""
        with self._store.writing() as writer:
            now = self._now()
            record = self._change(writer, "conversation", conversation, own, now)
            if self._settings.replies_touch_ticket and record.parent is not None:
                self._change(writer, "ticket", record.parent, {}, now)
        if record.parent is not None:
            self._tell(record.parent)

    def remove_reply(self, conversation: int) -> None:
        """Delete a conversation for good."""
        record = self._existing("conversation", conversation)
        with self._store.writing() as writer:
            writer.remove(self.name, "conversation", conversation)
        if record.parent is not None:
            self._tell(record.parent)

    def update(self, ticket: int, **own: Any) -> None:
        """Change fields of a ticket."""
        with self._store.writing() as writer:
            self._change(writer, "ticket", ticket, own, self._now())
        self._tell(ticket)

    def touch(self, ticket: int) -> None:
        """Move a ticket's ``updated_at``, without a word to the webhooks."""
        with self._store.writing() as writer:
            self._change(writer, "ticket", ticket, {}, self._now())

    def set_status(self, ticket: int, status: int) -> None:
        """Change a ticket's status: 2 open, 3 pending, 4 resolved, 5 closed, 6 and up custom."""
        self.update(ticket, status=status)

    def set_priority(self, ticket: int, priority: int) -> None:
        """Change a ticket's priority: 1 to 4."""
        self.update(ticket, priority=priority)

    def set_group(self, ticket: int, group: int | None) -> None:
        """Give a ticket to a group, or to none."""
        self.update(ticket, group_id=group)

    def set_category(self, ticket: int, *path: str) -> None:
        """Change a ticket's category to a path of up to three names."""
        self.update(ticket, **_category(path))

    def delete(self, ticket: int) -> None:
        """Move a ticket to the trash; it can still be read."""
        self.update(ticket, deleted=True)

    def restore(self, ticket: int) -> None:
        """Take a ticket out of the trash and out of spam."""
        self.update(ticket, deleted=False, spam=False)

    def spam(self, ticket: int) -> None:
        """Mark a ticket as spam; it can still be read."""
        self.update(ticket, spam=True)

    def merge(self, ticket: int, into: int) -> None:
        """Merge a ticket into another: it is closed, and both get a private note about it."""
        self.reply(
            ticket, f"<div>This ticket is closed and merged into ticket {into}</div>", private=True
        )
        self.reply(into, f"<div>Merged from ticket {ticket}</div>", private=True)
        self.update(ticket, status=CLOSED)

    def vanish(self, ticket: int) -> None:
        """Take a ticket away for good: it is 404 from now on."""
        self._existing("ticket", ticket)
        with self._store.writing() as writer:
            writer.remove(self.name, "ticket", ticket)
        self._tell(ticket)

    def expire_links(self) -> None:
        """Make every link to an attachment that was given out expire now."""
        self.links.expire()

    @property
    def calls(self) -> list[Call]:
        """The calls of its API that arrived, oldest first."""
        return self.log.calls

    def most_calls_in_60s(self, budget: Budget | None = None) -> int:
        """Return the most calls in any sixty seconds: of all, or of those with a limit of their own."""
        return self.log.most_in_60s(budget)

    def clear(self) -> None:
        """Take everything that it holds away, and forget its calls."""
        with self._store.writing() as writer:
            writer.clear(self.name)
        self.forget_calls()

    def forget_calls(self) -> None:
        """Forget its calls and downloads; the running minute begins anew."""
        self.log.reset()
        self.downloads.clear()
        self.leaks = 0

    def _tell(self, ticket: int) -> None:
        if self.webhooks.receiver is not None:
            found = self._store.get(self.name, "ticket", ticket)
            own = found.document if found else {}
            self.webhooks.tell(Event(ticket, own.get("subject", ""), own.get("status", 0)))

    def _attach(self, writer: Writer, owner: int, given: Iterable[Given], now: float) -> None:
        for file in files(given):
            self._keep(writer, file, owner, now)

    def _embed(self, writer: Writer, given: Iterable[Given], now: float) -> str:
        """Keep images, and return what stands for them in a body."""
        made: list[str] = []
        image: Image
        for image in images(given):
            number = self._keep(writer, image, None, now)
            made.append(f"<p>{placeholder(number, image.style)}</p>")
        return "".join(made)

    def _keep(self, writer: Writer, file: File, owner: int | None, now: float) -> int:
        number = writer.next_id(self.name, "attachment")
        writer.put(self.name, "attachment", Record(number, owner, now, now, file.document))
        writer.put_content(self.name, number, file.bytes)
        return number


def _category(path: tuple[str, ...]) -> dict[str, str | None]:
    if len(path) > len(CATEGORY_FIELDS):
        raise ValueError(f"a category has at most three levels, not {len(path)}")
    names = (*path, None, None, None)
    return dict(zip(CATEGORY_FIELDS, names, strict=False))
