"""Contacts -> ``people``."""

import secrets
from collections.abc import Mapping, Sequence
from typing import ClassVar

from elite_pipeline.errors import PermanentError
from elite_pipeline.sync import watermarks
from elite_pipeline.sync.reference_kinds import Kind, Lookups
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import Contact
from elite_pipeline.togadesk import Fitter, Row, Tx

#: Of chance in a password that nobody has.
_PASSWORD_BYTES = 24


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

    def values(self, record: Contact, lookups: Lookups, texts: Fitter) -> dict[str, object]:
        """Return name, e-mail (lower-case, as the helpdesk keeps it), title and phone."""
        del lookups
        email = (record.email or "").strip().lower()
        if not email:
            raise PermanentError(
                "has no e-mail address, which is what the helpdesk knows a person by; "
                "enter one in TOGA 2"
            )
        if "@" not in email:
            raise PermanentError(
                "has an e-mail address without an @, which is none; correct it in TOGA 2"
            )
        name = f"{(record.first_name or '').strip()} {(record.last_name or '').strip()}".strip()
        if not name:
            # the address stands in for it; where it does not fit, that is what is wrong
            texts.fit("people", "email", email)
            name = email
        return texts.fit_row(
            "people",
            {
                "name": name,
                "email": email,
                "title": record.title or "",
                "mobile": record.phone or "",
            },
        )

    def is_active(self, record: Contact) -> bool:
        """Tell whether TOGA 2 has the contact switched on."""
        return record.is_active

    def new_columns(self, count: int) -> Mapping[str, Sequence[object]]:
        """Return passwords that nobody has: no hash has this form, and no two are the same."""
        # drawn at once: asking the system for each takes longer than writing its row
        digits = secrets.token_hex(_PASSWORD_BYTES * count)
        width = 2 * _PASSWORD_BYTES
        return {
            "password": [
                f"!{digits[start : start + width]}" for start in range(0, len(digits), width)
            ]
        }

    def before_move(self, tx: Tx, moved: Sequence[tuple[Row, dict[str, object]]]) -> None:
        """Let the contacts' tickets follow to a new e-mail address."""
        if not moved:
            return
        addresses = {row.id: (row.email, new["email"]) for row, new in moved}
        tickets = tx.select(
            "tickets", ["id", "userid", "email", "referenceId"], in_=("userid", list(addresses))
        )
        tx.update(
            "tickets",
            [
                {"id": ticket.id, "email": addresses[ticket.userid][1]}
                for ticket in tickets
                # one with another address was written to from there
                if ticket.referenceId and ticket.email == addresses[ticket.userid][0]
            ],
        )

    def protection(self, row: Row) -> str | None:
        """Leave administrators alone, also one who was a contact first (sync.md 3)."""
        if row["type"] == "user":
            return None
        return (
            f"belongs to an administrator of the helpdesk (people {row.id}), whose rows are never "
            "written; change the address in TOGA 2"
        )
