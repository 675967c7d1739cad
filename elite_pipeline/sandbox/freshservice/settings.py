"""The accounts of a sandbox's Freshservice, the plans that they are on, and the sandbox's switches."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

Plan = Literal["starter", "growth", "pro", "enterprise"]

#: The sub-limits of ``spec/freshservice.md``: which kinds of call are also counted by themselves.
Budget = Literal[
    "list_tickets",
    "list_assets",
    "list_agents",
    "list_requesters",
    "view_ticket",
    "create_ticket",
    "update_ticket",
]


class Limits(NamedTuple):
    """How many calls a minute a plan allows.

    Attributes:
        overall: All calls of the account together.
        lists: Each of the lists that have a limit of their own.
        tickets: Each of viewing, creating and updating tickets.
    """

    overall: int
    lists: int
    tickets: int

    def of(self, budget: Budget | None) -> int:
        """Return the limit of one kind of call; of all together for ``None``."""
        if budget is None:
            return self.overall
        return self.lists if budget.startswith("list_") else self.tickets


PLANS: Final[Mapping[Plan, Limits]] = {
    "starter": Limits(100, 40, 50),
    "growth": Limits(200, 70, 80),
    "pro": Limits(400, 120, 140),
    "enterprise": Limits(500, 140, 160),
}


@dataclass(frozen=True)
class AccountSpec:
    """An account that the sandbox has.

    Attributes:
        name: What the sandbox calls it; never on the wire.
        api_key: The key of its agent, the user part of HTTP Basic credentials.
        plan: What it may call in a minute.
        port: Where it listens; 0 for a free port. Each account has a port, as each real one has a
            host name.
    """

    name: str
    api_key: str = field(repr=False)
    plan: Plan = "starter"
    port: int = 0


@dataclass
class Settings:
    """The switches of a running sandbox; a change holds from the next request on.

    Attributes:
        latency_seconds: How long every answer is held back.
        times: How timestamps are spelled: with ``Z``, with an offset, or with milliseconds.
        link_header: How ``Link`` is spelled: ``<url>; rel="next"``, without the blank after the
            semicolon, or with one inside the angle bracket.
        retry_after: How ``Retry-After`` is spelled.
        not_found_body: What a 404 carries.
        order_lists_by: What lists of tickets are ordered by, the newest first.
        conversation_order: In which order a ticket's conversations are listed. It is not documented.
        limit_calls: Whether calls beyond the plan are answered 429; they are counted either way.
        link_lifetime_seconds: How long a link to an attachment is good.
        inline_expire: Whether the links of embedded images end too, after the same time.
        legacy_redirects: Whether ``/helpdesk/attachments/<id>`` redirects to a signed link instead of
            answering with the bytes.
        attachment_host: The host name in links to attachments; it has to lead to this machine.
        replies_touch_ticket: Whether a reply or note moves its ticket's ``updated_at``.
    """

    latency_seconds: float = 0.0
    times: Literal["z", "offset", "milliseconds"] = "z"
    link_header: Literal["plain", "tight", "blank"] = "plain"
    retry_after: Literal["seconds", "date"] = "seconds"
    not_found_body: Literal["empty", "html", "json"] = "empty"
    order_lists_by: Literal["created_at", "updated_at"] = "created_at"
    conversation_order: Literal["oldest", "newest"] = "oldest"
    limit_calls: bool = True
    link_lifetime_seconds: float = 86_400.0
    inline_expire: bool = False
    legacy_redirects: bool = False
    attachment_host: str = "localhost"
    replies_touch_ticket: bool = True
