"""Contacts -> ``people``."""

import secrets
from collections.abc import Sequence
from typing import ClassVar

from elite_pipeline.errors import PermanentError
from elite_pipeline.sync import watermarks
from elite_pipeline.sync.reference_kinds import Kind, Lookups
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import Contact
from elite_pipeline.togadesk import Row, TogadeskStore, Tx


class Contacts(Kind[Contact]):
    """People who write tickets. Matched by e-mail address, which is unique across clients."""

    flow = "contacts"
    resource = wire.CONTACTS
    model = Contact
    table = "people"
    key = "email"
    owned = ("name", "email", "title", "mobile")
    watermark = watermarks.CONTACTS
    key_is_unique = True
    extra_columns: ClassVar[tuple[str, ...]] = ("type",)

    def values(self, record: Contact, lookups: Lookups, store: TogadeskStore) -> dict[str, object]:
        """Return name, e-mail (lower-case, as the helpdesk keeps it), title and phone."""
        del lookups
        email = (record.email or "").strip().lower()
        if not email:
            raise PermanentError(
                "has no e-mail address, which is what the helpdesk knows a person by; "
                "enter one in TOGA 2"
            )
        # first: where there is no name, the address stands in for it
        address = store.fit("people", "email", email)
        names = (record.first_name, record.last_name)
        name = " ".join(part.strip() for part in names if part and part.strip())
        return {
            "name": store.fit("people", "name", name or email),
            "email": address,
            "title": store.fit("people", "title", record.title or ""),
            "mobile": store.fit("people", "mobile", record.phone or ""),
        }

    def is_active(self, record: Contact) -> bool:
        """Tell whether TOGA 2 has the contact switched on."""
        return record.is_active

    def new_row(self, record: Contact) -> dict[str, object]:
        """Return a password that nobody has: no hash has this form, and it is never the same."""
        del record
        return {"password": f"!{secrets.token_hex(24)}"}

    def before_update(self, tx: Tx, updates: Sequence[tuple[Row, dict[str, object]]]) -> None:
        """Let the contacts' tickets follow to a new e-mail address."""
        moved = {
            row.id: (row.email, new["email"]) for row, new in updates if row.email != new["email"]
        }
        if not moved:
            return
        tickets = tx.select(
            "tickets", ["id", "userid", "email", "referenceId"], in_=("userid", list(moved))
        )
        tx.update(
            "tickets",
            [
                {"id": ticket.id, "email": moved[ticket.userid][1]}
                for ticket in tickets
                # one with another address was written to from there
                if ticket.referenceId and ticket.email == moved[ticket.userid][0]
            ],
        )

    def protection(self, row: Row) -> str | None:
        """Leave administrators alone, also one who was a contact first (sync.md 3)."""
        if row.type == "user":
            return None
        return f"belongs to an administrator of the helpdesk (people {row.id})"
