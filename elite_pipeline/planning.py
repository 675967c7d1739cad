"""What a dry run would do: effects on the outside systems, written down instead of done.

Each system's package has a twin of whatever writes there (``toga2.planned_calls``, ``togadesk.planned``,
…); what a twin is asked to write it puts into the one :class:`Planner` of the run, and answers with names
that it has made up, so that what comes later can refer to it.

Counts are always whole. Details are kept of the first effects, and of some of every kind, so that memory
does not grow with what is planned.

What does not belong here: how an operator sees it (``plan_tables``).
"""

import json
import re
import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

Action = Literal["create", "change", "delete", "link", "send", "store"]

#: So many effects are kept in detail, whatever their kind, and of each kind so many at least.
MAX_EFFECTS = 500
MAX_OF_A_KIND = 20
#: Of a longer text the beginning is shown.
MOST_CHARS = 160

#: What nobody may read, whatever holds it.
_SECRET = frozenset({"password", "sessionid", "resetkey"})
#: Bits of a made-up id that count; those above say of what it is one.
_COUNTED = 40
_MADE_UP_ID = re.compile(r"(?<![0-9])[0-9]{13,15}(?![0-9])")
_MADE_UP_UUID = re.compile(r"d0d0d0d0-0000-0000-([0-9a-f]{4})-([0-9a-f]{12})")

#: Values by name; made only where they are kept.
Values = Callable[[], Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of an effect.

    Attributes:
        name: The field, or column.
        old: What is there now, as text; None: nothing, or it is not known.
        new: What would be there; None: nothing.
    """

    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class EffectKind:
    """What effects are counted by.

    Attributes:
        system: Where it would happen, as an operator calls it.
        what: Table, route, or kind of thing there.
        action: What would be done.
    """

    system: str
    what: str
    action: Action


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that would be done.

    Attributes:
        kind: What it is.
        record: What it would be done to: an id or uuid, or ``new tickets 3`` for what does not exist.
        fields: Old and new values; of what is there already only those that differ.
    """

    kind: EffectKind
    record: str
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a run would do, had it not been a dry run.

    Attributes:
        counts: How many effects of each kind; whole.
        effects: The first of them in detail, in their order.
    """

    counts: Mapping[EffectKind, int] = field(default_factory=dict)
    effects: tuple[Effect, ...] = ()

    @property
    def total(self) -> int:
        """All effects."""
        return sum(self.counts.values())

    @property
    def left_out(self) -> int:
        """Effects that are counted and not in ``effects``."""
        return self.total - len(self.effects)


@dataclass(slots=True)
class _Kept:
    """An effect in detail; its values are still to be shown."""

    kind: EffectKind
    record: object
    old: Mapping[str, object]
    new: dict[str, object]


class Planner:
    """Collects what a run would do. Safe to use from several threads.

    Args:
        redact: Takes secrets out of a text.
    """

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self._guard = threading.RLock()
        self._counts: dict[EffectKind, int] = {}
        self._kept: dict[int, _Kept] = {}
        self._named: dict[Hashable, int] = {}
        self._serial = 0
        self._kinds: list[str] = []
        self._numbers: list[int] = []

    # What would be done

    def add(
        self,
        kind: EffectKind,
        record: object,
        new: Values,
        old: Values = dict,
        name: Hashable | None = None,
    ) -> None:
        """Write down an effect.

        Args:
            kind: What it is.
            record: What it is done to; an id or uuid that was made up is shown as what it is.
            new: Values that would be there; asked for only where the effect is kept in detail.
            old: Values that are there now, of the same names.
            name: By which :meth:`amend` and :meth:`withdraw` find it again.
        """
        with self._guard:
            count = self._counts[kind] = self._counts.get(kind, 0) + 1
            if not self._is_room(count):
                return
            self._serial += 1
            self._kept[self._serial] = _Kept(kind, record, dict(old()), dict(new()))
            if name is not None:
                self._named[name] = self._serial

    def has_room(self, kind: EffectKind) -> bool:
        """Tell whether one more effect of a kind would be kept in detail."""
        with self._guard:
            return self._is_room(self._counts.get(kind, 0) + 1)

    def amend(self, name: Hashable, new: Values) -> None:
        """Change what something would be made with: it is changed again before the run ends."""
        with self._guard:
            if (serial := self._named.get(name)) is not None:
                self._kept[serial].new.update(new())

    def withdraw(self, kind: EffectKind, name: Hashable) -> None:
        """Take an effect back: what it would make is gone again before the run ends."""
        with self._guard:
            self._counts[kind] -= 1
            if (serial := self._named.pop(name, None)) is not None:
                del self._kept[serial]

    def _is_room(self, number: int) -> bool:
        return len(self._kept) < MAX_EFFECTS or number <= MAX_OF_A_KIND

    def plan(self) -> Plan:
        """Return all that was written down so far."""
        with self._guard:
            return Plan(
                {kind: count for kind, count in self._counts.items() if count},
                tuple(
                    Effect(kept.kind, self._shown(kept.record) or "", self._fields(kept))
                    for kept in self._kept.values()
                ),
            )

    # Names for what does not exist

    def new_id(self, what: str) -> int:
        """Make up the id of a new row; greater than any real one, and than those before it."""
        kind, number = self._next(what)
        return (kind << _COUNTED) + number

    def is_made_up(self, what: str, id_: int) -> bool:
        """Tell whether an id was made up for something new of a kind."""
        return id_ > self.before_made_up(what)

    def before_made_up(self, what: str) -> int:
        """Return an id that all real ones are below, and all made-up ones of a kind are above."""
        with self._guard:
            return self._place(what) << _COUNTED

    def new_uuid(self, what: str) -> str:
        """Make up the uuid of a new record."""
        kind, number = self._next(what)
        return f"d0d0d0d0-0000-0000-{kind:04x}-{number:012x}"

    def _next(self, what: str) -> tuple[int, int]:
        with self._guard:
            place = self._place(what)
            self._numbers[place - 1] += 1
            return place, self._numbers[place - 1]

    def _place(self, what: str) -> int:
        """Return the place of a kind of thing among those of which something was made up, from 1."""
        if what not in self._kinds:
            self._kinds.append(what)
            self._numbers.append(0)
        return self._kinds.index(what) + 1

    def _called(self, kind: int, number: int) -> str | None:
        """Return what something new is called; None: nothing was made up as that."""
        if not 0 < kind <= len(self._kinds) or not 0 < number <= self._numbers[kind - 1]:
            return None
        return f"new {self._kinds[kind - 1]} {number}"

    # Showing

    def _fields(self, kept: _Kept) -> tuple[FieldChange, ...]:
        return tuple(
            FieldChange(
                name, self._value(name, kept.old.get(name)), self._value(name, kept.new.get(name))
            )
            for name in dict.fromkeys((*kept.old, *kept.new))
        )

    def _value(self, name: str, value: object) -> str | None:
        if value is not None and name.lower() in _SECRET:
            return "(hidden)"
        return self._shown(value)

    def _shown(self, value: object) -> str | None:
        """Return a value as text, without secrets, and not too long."""
        if value is None or isinstance(value, str):
            text = value
        elif isinstance(value, bool):
            text = "yes" if value else "no"
        elif isinstance(value, datetime | date):
            text = str(value)
        elif isinstance(value, bytes):
            text = f"({len(value):,} bytes)"
        else:
            text = json.dumps(_short_relations(value), ensure_ascii=False, default=str)
        if text is None:
            return None
        text = self._redact(_MADE_UP_UUID.sub(self._of_uuid, _MADE_UP_ID.sub(self._of_id, text)))
        text = text.strip('"') if isinstance(value, Mapping) else text
        if len(text) <= MOST_CHARS:
            return text
        return f"{text[:MOST_CHARS]}… ({len(text):,} characters)"

    def _of_id(self, found: re.Match[str]) -> str:
        made_up = int(found[0])
        return self._called(made_up >> _COUNTED, made_up & (1 << _COUNTED) - 1) or found[0]

    def _of_uuid(self, found: re.Match[str]) -> str:
        return self._called(int(found[1], 16), int(found[2], 16)) or found[0]


def _short_relations(value: object) -> object:
    """Put its uuid in the place of a relation."""
    if isinstance(value, Mapping):
        uuid = value.get("uuid")
        return uuid if isinstance(uuid, str) else dict(value)
    return value


class Draft:
    """What would be done by something that may yet fail as a whole, and then does none of it.

    Args:
        planner: Told of it by :meth:`publish`.
    """

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._notes: list[Callable[[], None]] = []

    def add(
        self,
        kind: EffectKind,
        record: object,
        new: Values,
        old: Values = dict,
        name: Hashable | None = None,
    ) -> None:
        """As :meth:`Planner.add`."""
        self._notes.append(lambda: self._planner.add(kind, record, new, old, name))

    def amend(self, name: Hashable, new: Values) -> None:
        """As :meth:`Planner.amend`."""
        self._notes.append(lambda: self._planner.amend(name, new))

    def withdraw(self, kind: EffectKind, name: Hashable) -> None:
        """As :meth:`Planner.withdraw`."""
        self._notes.append(lambda: self._planner.withdraw(kind, name))

    def publish(self) -> None:
        """Write all of it down."""
        for note in self._notes:
            note()
        self._notes.clear()
