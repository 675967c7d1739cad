"""What a kind of reference data has to say of itself: its lists, its table, its columns.

Follows ``spec/sync.md`` section 3. How any kind is carried over is in ``reference``; ``contacts``,
``units``, ``teams`` and ``predefined_replies`` are the kinds.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

from elite_pipeline.ledger import Waiting
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import Record
from elite_pipeline.togadesk import Fitter, Row, TogadeskStore, Tx

R = TypeVar("R", bound=Record)


@dataclass(slots=True)
class Lookups:
    """What a batch refers to, found in the helpdesk before its rows are made.

    Attributes:
        ids: Kind of reference -> what TOGA 2 calls it -> id in the helpdesk.
        waiting: References that are not there yet.
    """

    ids: dict[str, dict[str, int]] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)


class Kind(ABC, Generic[R]):
    """One kind of reference data.

    Attributes:
        flow: Its name: in the registry's switches, in results and in the ledger.
        resource, model: Where and as what TOGA 2 lists it.
        table: The helpdesk's table.
        key: The column that is a row's natural key, by which a hand-made row is adopted.
        owned: The columns that the sync owns; nothing else of an existing row is ever written.
        watermark: The parameter that holds its watermark.
        depth: Levels of relations that a record is needed with.
    """

    flow: ClassVar[str]
    resource: ClassVar[wire.Resource]
    model: type[R]
    table: ClassVar[str]
    key: ClassVar[str]
    owned: ClassVar[tuple[str, ...]]
    watermark: ClassVar[str]
    depth: ClassVar[int] = 1
    #: The natural key is unique in the whole table, across clients.
    key_is_unique: ClassVar[bool] = False
    #: A record that TOGA 2 has switched off gets no row of its own, where rows are what is offered.
    skips_inactive: ClassVar[bool] = False
    #: Further columns that :meth:`refusal` needs to see.
    extra_columns: ClassVar[tuple[str, ...]] = ()
    #: Records can refer to what is not there yet.
    waits: ClassVar[bool] = False
    #: A record's row cannot be made without what :meth:`look_up` finds.
    refers: ClassVar[bool] = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a row that are read: id, client, reference, the owned ones, the others."""
        return ("id", "clientid", "referenceId", *self.owned, *self.extra_columns)

    @abstractmethod
    def values(self, record: R, lookups: Lookups, texts: Fitter) -> dict[str, object]:
        """Return the owned columns of a record's row, in their order, each fitted to its column.

        Raises:
            PermanentError: The record cannot be a row.
        """

    @abstractmethod
    def is_active(self, record: R) -> bool:
        """Tell whether TOGA 2 has the record switched on."""

    def new_columns(self, count: int) -> Mapping[str, Sequence[object]]:
        """Return further columns of so many rows that are made: name -> one value a row."""
        del count
        return {}

    def prepare(self, store: TogadeskStore, records: Sequence[R]) -> None:
        """Make what the records refer to and all clients share, in transactions of its own."""
        del store, records

    def look_up(self, tx: Tx, records: Sequence[R], store: TogadeskStore) -> Lookups:
        """Find what the records refer to."""
        del tx, records, store
        return Lookups()

    def is_stub(self, raw: object) -> bool:
        """Tell whether a listed record lacks what only a read of its own brings."""
        del raw
        return False

    def before_move(self, tx: Tx, moved: Sequence[tuple[Row, dict[str, object]]]) -> None:
        """Carry new natural keys over to what copies them, before the rows themselves change.

        A run that is broken off in between finds the rows to change once more.

        Args:
            tx: The transaction.
            moved: Rows as they are, and their new values.
        """
        del tx, moved

    def ready(self, tx: Tx, waiting: Sequence[Waiting]) -> set[str]:
        """Return which records no longer wait: something that they refer to is there now."""
        del tx, waiting
        return set()

    def key_of(self, value: object) -> str:
        """Return a natural key in the form in which two are compared."""
        return str(value or "").strip().casefold()

    def protection(self, row: Row) -> str | None:
        """Say why a row is never overwritten, whatever it mirrors; None: it may be.

        Whether it may be depends on :attr:`extra_columns` alone.

        Args:
            row: Its id and :attr:`extra_columns`, and perhaps more.
        """
        del row
        return None

    def refusal(self, holder: Row, client_id: int) -> str | None:
        """Say why a row that holds the record's natural key may not be adopted; None: it may."""
        if (protection := self.protection(holder)) is not None:
            return protection
        if holder.clientid != client_id:
            return (
                f"belongs to client {holder.clientid} of the helpdesk ({self.table} {holder.id}); "
                "change it there or in TOGA 2"
            )
        if holder.referenceId:
            return (
                f"already belongs to {holder.referenceId} ({self.table} {holder.id}); change one of "
                "the two in TOGA 2"
            )
        return None
