"""A service desk at work: requesters ask and answer, agents note, change, close and tidy up."""

from collections.abc import Callable
from typing import Final

from elite_pipeline.sandbox.data.pictures import png
from elite_pipeline.sandbox.data.words import (
    ANSWER_TEXTS,
    FOLLOW_UP_TEXTS,
    INTERNAL_TEXTS,
    MODELS,
    PROBLEMS,
    REQUEST_TEXTS,
    SITES,
)
from elite_pipeline.sandbox.dice import Dice
from elite_pipeline.sandbox.freshservice.account import Account
from elite_pipeline.sandbox.freshservice.files import File, Image
from elite_pipeline.sandbox.freshservice.links import ImageStyle
from elite_pipeline.sandbox.freshservice.roster import CLOSED

#: How many of the youngest tickets people are busy with.
_BUSY_WITH: Final = 25


class Traffic:
    """The people of one account, who do one thing after another.

    Args:
        account: The account; it has requesters and agents.
        seed: What they do follows from it.
    """

    def __init__(self, account: Account, *, seed: str = "0") -> None:
        self._account = account
        self._dice = Dice(f"traffic/{account.name}/{seed}")
        # what is there more than once is done as much more often
        self._deeds: tuple[Callable[[], str], ...] = (
            *(self.ask,) * 4,
            *(self.answer,) * 6,
            *(self.answer_with_screenshot,) * 3,
            *(self.answer_with_image,) * 2,
            *(self.note,) * 3,
            *(self.change,) * 4,
            *(self.close,) * 2,
        )
        self._rare: tuple[Callable[[], str], ...] = (self.spam, self.delete, self.merge)

    def do_something(self) -> str:
        """Let somebody do one thing, and return a line about it."""
        if not self._open():
            return self.ask()
        if self._dice.chance(0.04):
            return self._dice.pick(self._rare)()
        return self._dice.pick(self._deeds)()

    def ask(self) -> str:
        """Somebody opens a ticket."""
        ticket, problem = self._opened()
        return f"ticket {ticket}: {problem}"

    def _opened(self) -> tuple[int, str]:
        dice, account = self._dice, self._account
        problem = self._worded(dice.pick(PROBLEMS))
        text = self._worded(dice.pick(REQUEST_TEXTS), problem=problem)
        ticket = account.new_ticket(
            problem,
            text,
            requester=dice.pick(account.requesters),
            files=[self._screenshot()] if dice.chance(0.3) else [],
            images=[self._image()] if dice.chance(0.15) else [],
            priority=dice.between(1, 4),
            category=dice.pick(account.categories or [()]),
            group_id=dice.pick([None, *account.groups]),
        )
        return ticket, problem

    def answer(self) -> str:
        """The requester or an agent replies."""
        return self._reply("replies")

    def answer_with_screenshot(self) -> str:
        """Somebody replies with a file."""
        return self._reply("replies with a screenshot", files=[self._screenshot()])

    def answer_with_image(self) -> str:
        """Somebody replies with an image in the text."""
        return self._reply("replies with an image in the text", images=[self._image()])

    def note(self) -> str:
        """An agent writes a private note."""
        ticket = self._ticket()
        agent = self._dice.pick(self._account.agents)
        self._account.reply(ticket, self._dice.pick(INTERNAL_TEXTS), author=agent, private=True)
        return f"ticket {ticket}: agent notes something"

    def change(self) -> str:
        """An agent changes something about a ticket."""
        dice, account, ticket = self._dice, self._account, self._ticket()
        kind = dice.below(4)
        if kind == 0:
            account.set_status(ticket, dice.pick((2, 3, 4, 6)))
        elif kind == 1:
            account.set_priority(ticket, dice.between(1, 4))
        elif kind == 2:
            account.set_category(ticket, *dice.pick(account.categories or [()]))
        else:
            account.set_group(ticket, dice.pick([None, *account.groups]))
        return f"ticket {ticket}: {('status', 'priority', 'category', 'group')[kind]} changed"

    def close(self) -> str:
        """An agent closes a ticket."""
        ticket = self._ticket()
        self._account.set_status(ticket, CLOSED)
        return f"ticket {ticket}: closed"

    def spam(self) -> str:
        """An agent marks a ticket as spam."""
        ticket = self._ticket()
        self._account.spam(ticket)
        return f"ticket {ticket}: marked as spam"

    def delete(self) -> str:
        """An agent moves a ticket to the trash."""
        ticket = self._ticket()
        self._account.delete(ticket)
        return f"ticket {ticket}: deleted"

    def merge(self) -> str:
        """An agent merges a ticket into another."""
        busy = self._open()
        if len(busy) < 2:
            return self.answer()
        ticket, into = self._dice.sample(busy, 2)
        self._account.merge(ticket, into)
        return f"ticket {ticket}: merged into ticket {into}"

    def _reply(
        self, what: str, files: list[File] | None = None, images: list[Image] | None = None
    ) -> str:
        dice, account, ticket = self._dice, self._account, self._ticket()
        by_agent = dice.chance(0.4)
        text = dice.pick(ANSWER_TEXTS if by_agent else FOLLOW_UP_TEXTS)
        account.reply(
            ticket,
            self._worded(text),
            author=dice.pick(account.agents) if by_agent else None,
            files=files or [],
            images=images or [],
        )
        return f"ticket {ticket}: {'agent' if by_agent else 'requester'} {what}"

    def _open(self) -> list[int]:
        return self._account.open_tickets(_BUSY_WITH)

    def _ticket(self) -> int:
        """Return a ticket to work on: a new one where others have closed all that there were."""
        busy = self._open()
        return self._dice.pick(busy) if busy else self._opened()[0]

    def _screenshot(self) -> File:
        return File(self._dice.pick(_SCREENSHOTS), png(self._dice), "image/png")

    def _image(self) -> Image:
        dice = self._dice
        return Image("image001.png", png(dice), "image/png", dice.pick(_STYLES))

    def _worded(self, text: str, problem: str = "") -> str:
        dice = self._dice
        asking = self._account.record("requester", dice.pick(self._account.requesters))
        person = asking.document["first_name"] if asking else "there"
        return text.format(
            problem=problem, person=person, site=dice.pick(SITES), model=dice.pick(MODELS).name
        )


_STYLES: Final[tuple[ImageStyle, ...]] = ("plain", "plain", "spaced", "no-id")
_SCREENSHOTS: Final = ("screenshot.png", "image001.png", "photo.png", "Übersicht (2).png")
