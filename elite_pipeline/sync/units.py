"""Units -> ``assets``."""

from collections.abc import Callable, Sequence
from functools import partial

from elite_pipeline.errors import PermanentError
from elite_pipeline.ledger import Waiting
from elite_pipeline.sync import watermarks
from elite_pipeline.sync.reference_kinds import Kind, Lookups
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import Item, Unit
from elite_pipeline.togadesk import Fitter, TogadeskStore, Tx

#: How long a run waits for another one that makes look-up rows, in seconds.
LOCK_WAIT_SECONDS = 60.0
#: Look-up table -> what of a unit's item stands in it.
_NAMES: dict[str, Callable[[Item], str | None]] = {
    "models": lambda item: item.name,
    "manufacturers": lambda item: item.manufacturer,
    "assetcategories": lambda item: item.category,
}


class Units(Kind[Unit]):
    """Things that the client owns. Matched by tag, which is unique across clients."""

    flow = "units"
    resource = wire.UNITS
    model = Unit
    table = "assets"
    key = "tag"
    owned = ("name", "serial", "tag", "modelid", "manufacturerid", "categoryid", "userid")
    watermark = watermarks.UNITS
    key_is_unique = True
    waits = True
    refers = True
    # deep enough for a unit's item to be more than a stub
    depth = 2

    def prepare(self, store: TogadeskStore, records: Sequence[Unit]) -> None:
        """Make the models, manufacturers and categories that are not there yet.

        All clients share them and nothing in the database keeps a name from standing twice, so this
        is done by one run at a time; a lock is taken only when there is something to make.
        """
        for table in _NAMES:
            names = _names(store, table, records)
            if not names:
                continue
            found = store.run(partial(_present, table, names))
            if len(found) < len({name.casefold() for name in names}):
                with store.lock(f"names.{table}", LOCK_WAIT_SECONDS):
                    store.run(partial(_find_or_create, table, names))

    def look_up(self, tx: Tx, records: Sequence[Unit], store: TogadeskStore) -> Lookups:
        """Find models, manufacturers and categories by name, and the contacts."""
        lookups = Lookups()
        for table in _NAMES:
            names = _names(store, table, records)
            lookups.ids[table] = tx.find_or_create_names(table, names) if names else {}
        contacts = {record.contact.uuid for record in records if record.contact is not None}
        people = tx.select_by_reference("people", ["id"], contacts)
        lookups.ids["people"] = {uuid: row.id for uuid, row in people.items()}
        lookups.waiting = [
            Waiting(record.uuid, "contact", record.contact.uuid)
            for record in records
            if record.contact is not None and record.contact.uuid not in people
        ]
        return lookups

    def values(self, record: Unit, lookups: Lookups, texts: Fitter) -> dict[str, object]:
        """Return name, serial number, tag, what kind of thing it is, and whose."""
        tag = (record.tag or "").strip()
        contact = record.contact.uuid if record.contact is not None else ""
        return {
            "name": texts.fit("assets", "name", record.name or ""),
            "serial": texts.fit("assets", "serial", record.serial_number or ""),
            # the column is unique: units without a tag cannot all have an empty one
            "tag": texts.fit("assets", "tag", tag or record.uuid),
            "modelid": self._name_id(record, "models", lookups, texts),
            "manufacturerid": self._name_id(record, "manufacturers", lookups, texts),
            "categoryid": self._name_id(record, "assetcategories", lookups, texts),
            "userid": lookups.ids["people"].get(contact, 0),
        }

    def is_active(self, record: Unit) -> bool:
        """Tell whether TOGA 2 has the unit switched on."""
        return record.is_active

    def is_stub(self, raw: object) -> bool:
        """Tell whether the list did not expand the unit's item: then its names are not there."""
        item = raw.get("item") if isinstance(raw, dict) else None
        return isinstance(item, dict) and item.keys() == {"uuid"}

    def ready(self, tx: Tx, waiting: Sequence[Waiting]) -> set[str]:
        """Return the units whose contact is in the helpdesk now."""
        people = tx.select_by_reference("people", ["id"], {entry.target for entry in waiting})
        return {entry.uuid for entry in waiting if entry.target in people}

    @staticmethod
    def _name_id(record: Unit, table: str, lookups: Lookups, texts: Fitter) -> int:
        name = _NAMES[table](record.item) if record.item is not None else None
        if name is None or not name.strip():
            return 0
        # raises for this unit alone when the name does not fit
        return lookups.ids[table][texts.fit(table, "name", name.strip())]


def _fitted_or_none(store: TogadeskStore, table: str, name: str | None) -> str | None:
    if name is None or not name.strip():
        return None
    try:
        return store.fit(table, "name", name.strip())
    except PermanentError:
        return None


def _names(store: TogadeskStore, table: str, records: Sequence[Unit]) -> list[str]:
    """Return the names of one kind, in the records' order: the first of several spellings is made."""
    part = _NAMES[table]
    return list(
        dict.fromkeys(
            fitted
            for record in records
            if record.item is not None
            and (fitted := _fitted_or_none(store, table, part(record.item))) is not None
        )
    )


def _present(table: str, names: Sequence[str], tx: Tx) -> set[str]:
    return {row.name.casefold() for row in tx.select(table, ["name"], in_=("name", names))}


def _find_or_create(table: str, names: Sequence[str], tx: Tx) -> dict[str, int]:
    return tx.find_or_create_names(table, names)
