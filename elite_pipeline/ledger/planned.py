"""The ledger in a dry run: a copy of what the flow goes by, in a temporary file, to be written at will.

The flow counts attempts, remembers and forgets as ever, and nothing of it outlives the run. Of dead
letters it is planned what would become of them; the rest is memory, and nothing that an operator acts on.

What does not belong here: what is kept (``tables``), and what is done with a plan (``planning``).
"""

import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import partial
from typing import Final

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from elite_pipeline.ledger.database import LedgerDatabase
from elite_pipeline.ledger.dead_letter import DeadLetter, Failed, Name
from elite_pipeline.ledger.dead_letters import DeadLetters, Recorded
from elite_pipeline.ledger.store import Ledger
from elite_pipeline.locks import StillHeld
from elite_pipeline.planning import Action, EffectKind, Planner

SYSTEM: Final = "pipeline"
LETTERS: Final = "dead letters"


class ScratchDatabase(LedgerDatabase):
    """A database of its own that nobody else sees, and that is gone when it is closed."""

    def __init__(self) -> None:
        super().__init__("sqlite://")
        # The empty name is a temporary file that SQLite deletes, also when the process dies; it has one
        # connection, and threads take turns.
        self._engine = sa.create_engine(
            "sqlite://",
            creator=lambda: sqlite3.connect("", check_same_thread=False),
            poolclass=StaticPool,
        )
        self._turn = threading.RLock()

    @contextmanager
    def _begun(self) -> Iterator[sa.Connection]:
        with self._turn, super()._begun() as connection:
            yield connection


class OnlyReading(LedgerDatabase):
    """The twin of a database, on the same connections, in which nothing is written or made."""

    def __init__(self, real: LedgerDatabase) -> None:
        self.__dict__.update(vars(real))

    def has(self, table: sa.Table) -> bool:
        """Tell whether a table is there; no database is made by asking."""
        if not self.is_there():
            return False
        with self.begin_reading() as connection:
            return sa.inspect(connection).has_table(table.name)

    def begin(self) -> AbstractContextManager[sa.Connection]:
        """Run a transaction that reads."""
        return self.begin_reading()

    def begin_writing(self) -> AbstractContextManager[sa.Connection]:
        """Refuse: nothing that writes comes this way in a dry run."""
        raise AssertionError("a dry run must not write to the pipeline's own database")


class PlannedLedger(Ledger):
    """The twin of a ledger, for one run of one flow.

    Args:
        real: Whose twin it is.
        flow: Which flow it is for.
        planner: Told of what would become of dead letters.
    """

    def __init__(self, real: Ledger, flow: str, planner: Planner) -> None:
        scratch = ScratchDatabase()
        super().__init__("", real.client, database=scratch)
        self._real = real
        self.dead_letters = PlannedDeadLetters(scratch, real.client, planner)
        real.copy_to(scratch, flow)

    def lock(self, name: str, wait_seconds: float) -> AbstractContextManager[StillHeld]:
        """Hold a lock of the real ledger's: it keeps runs apart, and writes nothing."""
        return self._real.lock(name, wait_seconds)


class PlannedDeadLetters(DeadLetters):
    """Dead letters of a copy: what becomes of them there is put into a plan.

    Args:
        database: The copy.
        client: Whose they are.
        planner: Told of it.
    """

    def __init__(self, database: LedgerDatabase, client: str, planner: Planner) -> None:
        super().__init__(database, client)
        self._planner = planner

    def record(self, failures: Sequence[Failed], now: datetime) -> list[Recorded]:
        """Write down what failed."""
        recorded = super().record(failures, now)
        for one in recorded:
            old: dict[str, object] = {} if one.is_new else {"attempts": one.letter.attempts - 1}
            self._plan("create" if one.is_new else "change", one.letter, _shown(one.letter), old)
        return recorded

    def resolve(self, flow: str, entities: Collection[str], keep: Collection[Name] = ()) -> None:
        """Drop the letters of entities that came through."""
        before = self.among(flow, entities)
        super().resolve(flow, entities, keep)
        if not before:
            return
        left = {_name(letter) for some in self.among(flow, before).values() for letter in some}
        for letters in before.values():
            for letter in letters:
                if _name(letter) not in left:
                    self._plan("delete", letter, {}, _shown(letter))

    def _plan(
        self,
        action: Action,
        letter: DeadLetter,
        new: dict[str, object],
        old: dict[str, object],
    ) -> None:
        name = letter.record
        if letter.record != letter.entity:
            name = f"{letter.record} of {letter.entity}"
        kind = EffectKind(SYSTEM, LETTERS, action)
        self._planner.add(kind, name, partial(dict, new), partial(dict, old))


def _name(letter: DeadLetter) -> Name:
    return letter.entity, letter.record


def _shown(letter: DeadLetter) -> dict[str, object]:
    return {
        "kind": letter.kind,
        "reason": letter.error,
        "attempts": letter.attempts,
        "next attempt": letter.next_attempt or "never: it waits for a person",
    }
