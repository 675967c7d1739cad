"""The bodies of webhooks: what people configure in the Workflow Automator, as far as it has been seen.

There is no fixed payload (``spec/freshservice.md``, Webhooks). Placeholders are pasted in raw here as
they are there: a quote or a line break in a subject breaks the JSON.
"""

from dataclasses import dataclass
from itertools import product
from typing import Final, Literal, get_args

from elite_pipeline.sandbox.dice import Dice

Wrapper = Literal["", "freshservice_webhook", "freshdesk_webhook", "ticket"]
IdKey = Literal["ticket_id", "id", "id_numeric"]
IdForm = Literal["number", "string", "INC-", "SR-", "#INC-"]

#: A subject that breaks the JSON that it is pasted into.
UNRULY_SUBJECT: Final = 'The "lobby" printer is\ndown, 24" screen too, {see} C:\\temp'


@dataclass(frozen=True)
class Event:
    """A change that webhooks tell of.

    Attributes:
        ticket: The ticket's number.
        subject: Its subject.
        status: Its status.
    """

    ticket: int
    subject: str
    status: int


@dataclass(frozen=True)
class PayloadKind:
    """How a payload is built.

    Attributes:
        wrapper: The key that everything lies under; empty for none.
        key: The key of the ticket's number.
        form: How the number is spelled.
    """

    wrapper: Wrapper = "freshservice_webhook"
    key: IdKey = "ticket_id"
    form: IdForm = "INC-"

    def build(self, event: Event) -> bytes:
        """Return the body for an event, with the subject pasted in as it is."""
        number = str(event.ticket)
        if self.form != "number":
            number = f'"{"" if self.form == "string" else self.form}{number}"'
        inner = (
            f'{{"ticket_subject": "{event.subject}",\n "{self.key}": {number},\n'
            f' "ticket_status": "{event.status}", "triggered_event": "{{ticket_action:update}}"}}'
        )
        text = f'{{"{self.wrapper}": {inner}}}' if self.wrapper else inner
        return text.encode()


#: Every kind that there is.
PAYLOAD_KINDS: Final = tuple(
    PayloadKind(wrapper, key, form)
    for wrapper, key, form in product(get_args(Wrapper), get_args(IdKey), get_args(IdForm))
)


def any_kind(dice: Dice) -> PayloadKind:
    """Return one of all kinds."""
    return dice.pick(PAYLOAD_KINDS)
