"""Records as they go out: the shapes of ``spec/freshservice.md``, Endpoints.

An attachment's link, and an embedded image's, are made anew each time.
"""

import html
import re
from collections.abc import Iterable
from typing import Any, Final

from elite_pipeline.sandbox.freshservice.links import Links
from elite_pipeline.sandbox.freshservice.settings import Settings
from elite_pipeline.sandbox.freshservice.store import Document, Record
from elite_pipeline.sandbox.freshservice.times import spell

_TAGS: Final = re.compile(r"<[^>]*>")

#: What lies between a ticket's creation and the times that are promised for it, in seconds.
_FIRST_RESPONSE: Final = 8 * 3_600
_RESOLUTION: Final = 24 * 3_600


class Shapes:
    """Spells the records of one account.

    Args:
        settings: The sandbox's switches.
        links: Makes the links.
        base_url: Where the account is.
    """

    def __init__(self, settings: Settings, links: Links, base_url: str) -> None:
        self._settings = settings
        self._links = links
        self._base_url = base_url

    def ticket(self, record: Record, attachments: Iterable[Record] | None = None) -> Document:
        """Spell a ticket; one in a list has no attachments."""
        own = record.document
        description = self.body(own["description"])
        spelled = {
            "id": record.id,
            **own,
            "description": description,
            "description_text": plain_text(description),
            "due_by": self._time(record.created + _RESOLUTION),
            "fr_due_by": self._time(record.created + _FIRST_RESPONSE),
            **self._stamps(record),
        }
        if attachments is not None:
            spelled["attachments"] = [self.attachment(each) for each in attachments]
        return spelled

    def conversation(self, record: Record, attachments: Iterable[Record]) -> Document:
        """Spell a conversation."""
        body = self.body(record.document["body"])
        return {
            "id": record.id,
            "ticket_id": record.parent,
            **record.document,
            "body": body,
            "body_text": plain_text(body),
            "attachments": [self.attachment(each) for each in attachments],
            **self._stamps(record),
        }

    def attachment(self, record: Record) -> Document:
        """Spell an attachment, with a fresh link."""
        own = record.document
        return {
            "id": record.id,
            "name": own["name"],
            "content_type": own["content_type"],
            "size": own["size"],
            "attachment_url": self._links.attachment(record.id, own["name"]),
            "canonical_url": f"{self._base_url}/helpdesk/attachments/{record.id}",
            "has_access": True,
            **self._stamps(record),
        }

    def person(self, record: Record) -> Document:
        """Spell a requester or an agent."""
        return {"id": record.id, **record.document, **self._stamps(record)}

    def group(self, record: Record) -> Document:
        """Spell a group."""
        return {"id": record.id, **record.document, **self._stamps(record)}

    def stats(self, record: Record) -> Document:
        """Spell what ``include=stats`` adds to a ticket."""
        closed = self._time(record.updated) if record.document["status"] == 5 else None
        return {
            "ticket_id": record.id,
            **self._stamps(record),
            "resolved_at": closed,
            "closed_at": closed,
        }

    def body(self, stored: str) -> str:
        """Spell the HTML of a body, with its embedded images."""
        return self._links.body(stored, self._base_url)

    def _time(self, seconds: float) -> str:
        return spell(seconds, self._settings)

    def _stamps(self, record: Record) -> dict[str, Any]:
        return {
            "created_at": self._time(record.created),
            "updated_at": self._time(record.updated),
        }


def plain_text(body: str) -> str:
    """Return the text of an HTML body."""
    return " ".join(html.unescape(_TAGS.sub(" ", body)).split())


def form_fields(paths: Iterable[tuple[str, ...]]) -> list[Document]:
    """Spell the fields of the ticket form, with the tree of categories that some paths make."""
    tree: dict[str, Any] = {}
    for path in paths:
        level = tree
        for name in path:
            level = level.setdefault(name, {})
    numbers = iter(range(1, 1_000_000))

    def choices(level: dict[str, Any], depth: int) -> list[Document]:
        listed = []
        for name, below in level.items():
            number = next(numbers)
            choice: Document = {"id": 16_900_000_000 + number * 11, "display_id": number}
            choice["value"] = name
            # leaves may lack nested_options: those of the third level do, others have an empty list
            if depth < 3:
                choice["nested_options"] = choices(below, depth + 1)
            listed.append(choice)
        return listed

    fields = [
        _field(1, "subject", "Subject", "default_subject", []),
        _field(2, "status", "Status", "default_status", _numbered(_STATUSES, 2)),
        _field(3, "priority", "Priority", "default_priority", _numbered(_PRIORITIES, 1)),
        _field(4, "category", "Category", "default_category", choices(tree, 1)),
    ]
    nested = [
        {"name": "sub_category", "label": "Sub-Category", "level": 2},
        {"name": "item_category", "label": "Item", "level": 3},
    ]
    return [*fields[:3], fields[3] | {"nested_fields": nested}]


_STATUSES: Final = ("Open", "Pending", "Resolved", "Closed")
_PRIORITIES: Final = ("Low", "Medium", "High", "Urgent")


def _numbered(names: tuple[str, ...], first: int) -> list[Document]:
    return [{"id": number, "value": name} for number, name in enumerate(names, first)]


def _field(place: int, name: str, label: str, kind: str, choices: list[Document]) -> Document:
    return {
        "id": 16_800_000_000 + place,
        "workspace_id": 2,
        "name": name,
        "label": label,
        "field_type": kind,
        "required": name != "category",
        "default_field": True,
        "position": place,
        "choices": choices,
    }
