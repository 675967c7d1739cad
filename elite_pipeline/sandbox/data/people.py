"""Contacts, and the agents who answer them.

Contact ``i`` of a client follows from seed, client and ``i`` alone: whoever needs a contact's name,
e-mail or uuid computes it again.
"""

import hashlib
import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, NamedTuple

from elite_pipeline.sandbox.data.timeline import Timeline
from elite_pipeline.sandbox.data.words import FIRST_NAMES, JOB_TITLES, LAST_NAMES, SITES
from elite_pipeline.sandbox.dice import Dice
from elite_pipeline.sandbox.toga2.documents import Document

AGENTS: Final = 12

_NAMES: Final = len(FIRST_NAMES) * len(LAST_NAMES)
_FOLDED: Final = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "o", "ł": "l", "\u0131": "i"}
)


class Person(NamedTuple):
    """Who somebody is."""

    first_name: str
    last_name: str
    email: str

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"


@dataclass(frozen=True)
class World:
    """What the made-up data of one client follow from.

    Attributes:
        client: The client's name.
        seed: The seed.
        prefix: What the client's custom fields begin with.
        timeline: The period that the data are spread over.
    """

    client: str
    seed: int
    prefix: str
    timeline: Timeline

    def dice(self, kind: str, index: int) -> Dice:
        """Return the chance that a record follows from."""
        return Dice(f"{self.seed}/{self.client}/{kind}/{index}")

    def uuid(self, kind: str, index: int) -> str:
        """Return the uuid (version 4 in form) of a record."""
        text = f"{self.seed}/{self.client}/{kind}/{index}/uuid".encode()
        digits = hashlib.blake2b(text, digest_size=16).hexdigest()
        variant = "89ab"[int(digits[16], 16) % 4]
        return (
            f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
        )

    def person(self, index: int) -> Person:
        """Return who contact ``index`` is; no two contacts of a client share an e-mail address."""
        combination = (self._stride * index + self.seed) % _NAMES
        first = FIRST_NAMES[combination % len(FIRST_NAMES)]
        last = LAST_NAMES[combination // len(FIRST_NAMES)]
        again = index // _NAMES
        site = SITES[index % len(SITES)]
        local = f"{plain(first)}.{plain(last)}{again + 1 if again else ''}"
        return Person(first, last, f"{local}@{site}.{self.client}.example.com")

    def agent(self, index: int) -> Person:
        """Return who agent ``index`` is."""
        dice = self.dice("agent", index % AGENTS)
        first, last = dice.pick(FIRST_NAMES), dice.pick(LAST_NAMES)
        local = f"{plain(first)}.{plain(last)}.{index % AGENTS + 1}"
        return Person(first, last, f"{local}@desk.{self.client}.example.net")

    @cached_property
    def _stride(self) -> int:
        """How far apart in all combinations of names neighbours lie: coprime, so none comes twice."""
        stride = _NAMES * 3 // 8 + self.seed % 97
        while math.gcd(stride, _NAMES) != 1:
            stride += 1
        return stride


@lru_cache(maxsize=1_024)
def plain(name: str) -> str:
    """Spell a name in the letters of an e-mail address."""
    folded = unicodedata.normalize("NFKD", name.lower().translate(_FOLDED))
    return "".join(letter for letter in folded if letter.isascii() and letter.isalnum())


def contacts(world: World, count: int) -> Iterator[Document]:
    """Yield the contacts of a client."""
    for index in range(count):
        dice = world.dice("contact", index)
        person = world.person(index)
        created = world.timeline.imported_or_created(dice, index, count)
        contact: Document = {
            "uuid": world.uuid("contact", index),
            "_created": created,
            "_updated": world.timeline.updated(dice, created, last=index == count - 1),
            "firstName": person.first_name,
            "lastName": person.last_name,
            "email": person.email,
            "phone": f"+1 555 01{dice.below(100):02}" if dice.chance(0.8) else "",
            "title": dice.pick(JOB_TITLES),
            "isActive": dice.chance(0.95),
        }
        if dice.chance(0.4):
            contact[f"{world.prefix}UserId"] = str(14_000_000_000 + index * 17 + dice.below(17))
        yield contact
