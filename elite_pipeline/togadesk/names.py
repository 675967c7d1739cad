"""Look-up tables: the helpdesk finds a name in them or inserts it.

The server compares names without regard to case, trailing blanks and, mostly, accents; which row
means which name is decided here in the same spirit, the closest first. When nothing here agrees
with the server's idea, the name is inserted as it is: a second entry in a list does no harm.

What does not belong here: which names there are (``sync``).
"""

import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from elite_pipeline.togadesk.rows import Row


class NameTable(Protocol):
    """What is needed of a transaction."""

    def select(
        self,
        table: str,
        columns: Sequence[str],
        *,
        where: Mapping[str, object] | None = None,
        in_: tuple[str, Sequence[object]] | None = None,
    ) -> list[Row]:
        """Read rows."""

    def insert(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Insert rows."""


def _as_it_is(name: str) -> str:
    return name


def _without_case(name: str) -> str:
    return name.rstrip(" ").casefold()


def _without_accents(name: str) -> str:
    parts = unicodedata.normalize("NFKD", _without_case(name))
    return "".join(part for part in parts if not unicodedata.combining(part))


_WAYS: tuple[Callable[[str], str], ...] = (_as_it_is, _without_case, _without_accents)


def _match(names: Sequence[str], rows: Sequence[Row]) -> dict[str, int]:
    """Return the id of the closest row for each name that has one; the lowest id of equals."""
    found: dict[str, int] = {}
    for way in _WAYS:
        ids: dict[str, int] = {}
        for row in sorted(rows, key=lambda row: int(row["id"]), reverse=True):
            ids[way(row["name"])] = row["id"]
        for name in names:
            if name not in found and way(name) in ids:
                found[name] = ids[way(name)]
    return found


def find_or_create(store: NameTable, table: str, names: Collection[str]) -> dict[str, int]:
    """Return the id of each name, inserting the ones that are not there.

    Args:
        store: The transaction.
        table: A table with a column ``name``.
        names: Names that fit the column.
    """
    wanted = list(dict.fromkeys(names))
    found = _match(wanted, store.select(table, ["id", "name"], in_=("name", wanted)))
    missing: dict[str, str] = {}
    for name in wanted:
        if name not in found:
            missing.setdefault(_without_case(name), name)
    if missing:
        created = list(missing.values())
        store.insert(table, [{"name": name} for name in created])
        rows = store.select(table, ["id", "name"], in_=("name", created))
        found |= _match([name for name in wanted if name not in found], rows)
    return found
