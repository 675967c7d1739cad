"""What a ticket of the helpdesk looks like in TOGA 2 (``spec/sync.md`` section 5).

What does not belong here: sending it (``outgoing_sender``), which words stand for which
(``ticket_states``), its notes (``outgoing_messages``).
"""

from elite_pipeline.clients import Client
from elite_pipeline.sync.outgoing_rows import STATES, OutgoingMessage, OutgoingTicket, Relations
from elite_pipeline.sync.own_keys import ticket_field
from elite_pipeline.sync.signatures import signature, without_signature
from elite_pipeline.sync.ticket_states import back

#: Who wrote a description of which nobody says who did.
NO_NAME = "TOGaDesk"


class TicketFields:
    """Makes the fields of tickets of one client.

    Args:
        client: Whose they are.
        relations: What the tickets refer to.
    """

    def __init__(self, client: Client, relations: Relations) -> None:
        self._client = client
        self._relations = relations
        self._ticket_field = ticket_field(client.custom_field_prefix)

    def new(self, ticket: OutgoingTicket) -> dict[str, object]:
        """Return what a ticket is made with; its first reply is its description [S]."""
        row, known = ticket.row, self._relations
        first = ticket.description(None)
        references = {
            "contact": known.contacts.get(row.userid),
            "ticketTeam": known.teams.get(row.groupid),
            "unit": known.units.get(row.assetid),
            "ticketCategory": known.categories.get(row.category),
        }
        fields: dict[str, object] = {
            "subject": row.subject,
            "description": self.described(ticket, first) if first is not None else "",
            self._ticket_field: str(ticket.key),
            **{key: {"uuid": uuid} for key, uuid in references.items() if uuid},
        }
        for what in STATES:
            if (value := self.state(what, row[what], None)) is not None:
                fields[what] = value
        return fields

    def described(self, ticket: OutgoingTicket, first: OutgoingMessage) -> str:
        """Return the description, with its author in front where TOGA 2 would not know it.

        Also where it begins like such a line by itself: exactly one is taken off on the way back.
        """
        looks_signed = without_signature(first.text) != first.text
        if ticket.row.userid in self._relations.contacts and not looks_signed:
            return first.text
        person = self._relations.people.get(first.author_id or ticket.row.userid)
        name = person.name if person is not None else ""
        line = signature(name, person.email if person is not None else ticket.row.email)
        if looks_signed:
            line = line or signature(NO_NAME, None)
        return line + first.text

    def state(self, what: str, value: str, current: str | None) -> str | None:
        """Return a status or priority in TOGA 2's words; None: it has no counterpart.

        Args:
            what: ``status`` or ``priority``.
            value: The helpdesk's.
            current: What TOGA 2 has; kept where it means the same.
        """
        client = self._client
        mapping, own = (
            (client.status_map, client.toga2.status_map)
            if what == "status"
            else (client.priority_map, client.toga2.priority_map)
        )
        return back(what, value, mapping=mapping, own=own, current=current)
