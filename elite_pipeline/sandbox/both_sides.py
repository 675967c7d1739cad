"""People typing on both sides of a running pipeline: in TOGA 2 over HTTP, at the helpdesk on its pages.

What does not belong here: what is typed (``edits``, ``togadesk.typing_people``), and the command
(``both_sides_cli``).
"""

from collections.abc import Callable

from elite_pipeline.sandbox.caller import Caller
from elite_pipeline.sandbox.dice import Dice
from elite_pipeline.sandbox.edits import edit
from elite_pipeline.sandbox.toga2.schema import JobKind
from elite_pipeline.sandbox.togadesk import TypingPeople


class BothSides:
    """The people of one client, in both systems.

    Args:
        caller: Calls TOGA 2 with the client's credentials.
        kind: What stands for its tickets there.
        people: Its people at the helpdesk.
        dice: Who does what next.
    """

    def __init__(self, caller: Caller, kind: JobKind, people: TypingPeople, dice: Dice) -> None:
        self._caller = caller
        self._kind = kind
        self._people = people
        self._dice = dice
        # what is there more than once is done as much more often
        self._deeds: tuple[Callable[[], str], ...] = (
            *(self._note, self._note, self._note_with_file, self._state),
            *(self._ticket, self._reply, self._reply, self._reply_with_file, self._comment),
        )

    def do_something(self) -> str:
        """Let somebody do one thing, and return a line about it.

        Raises:
            CallError: TOGA 2 cannot be reached, or has no ticket.
            ConfigurationError: The helpdesk has nobody or nothing to write on.
        """
        return self._dice.pick(self._deeds)()

    def _edit(self, *, tickets: int = 0, notes: int = 0, files: int = 0) -> str:
        lines = edit(
            self._caller, self._dice, kind=self._kind, tickets=tickets, notes=notes, files=files
        )
        return f"TOGA 2: {'; '.join(lines)}"

    def _note(self) -> str:
        return self._edit(notes=1)

    def _note_with_file(self) -> str:
        return self._edit(notes=1, files=1)

    def _state(self) -> str:
        return self._edit(tickets=1)

    def _ticket(self) -> str:
        ticket, _ = self._people.open_ticket()
        return f"helpdesk: new ticket, row {ticket}"

    def _reply(self) -> str:
        return self._replied()[1]

    def _reply_with_file(self) -> str:
        reply, line = self._replied()
        self._people.upload(reply)
        return f"{line}, with a file"

    def _replied(self) -> tuple[int, str]:
        ticket, by_staff = self._people.some_ticket(), self._dice.chance(0.5)
        reply = self._people.reply(ticket, by_staff=by_staff)
        return reply, f"helpdesk: {'staff' if by_staff else 'user'} replies to ticket row {ticket}"

    def _comment(self) -> str:
        ticket = self._people.some_ticket()
        self._people.comment(ticket)
        return f"helpdesk: staff comments on ticket row {ticket}"
