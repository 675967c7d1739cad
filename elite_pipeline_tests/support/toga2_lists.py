"""A list of TOGA 2 in memory, for tests of reading it: filters, order and page size as on the wire."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]


def second(number: int) -> str:
    """Return a time as TOGA 2 writes it."""
    return f"2026-06-10 {number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}"


@dataclass
class RecordList:
    """Records of one kind.

    Attributes:
        page_size: Records a page.
        before_page: Called before each page is answered, with how many were answered before it.
        asked: The filters of every page.
    """

    page_size: int
    before_page: Callable[[int], None] = lambda _: None
    records: dict[str, Record] = field(default_factory=dict)
    asked: list[list[tuple[str, str]]] = field(default_factory=list)

    def put(self, uuid: str, at: int, version: int = 0) -> None:
        """Make or replace a record, updated in a second."""
        self.records[uuid] = {"uuid": uuid, "_updated": second(at), "version": version}

    def fetch(self, filters: Sequence[tuple[str, str]]) -> list[object]:
        """Answer a page."""
        self.before_page(len(self.asked))
        self.asked.append(list(filters))
        found = [record for record in self.records.values() if _fits(record, filters)]
        found.sort(key=lambda record: (str(record.get("_updated")), str(record.get("uuid"))))
        return [dict(record) for record in found[: self.page_size]]


def _fits(record: Record, filters: Sequence[tuple[str, str]]) -> bool:
    for name, wanted in filters:
        column, operator = name.removeprefix("where[").removesuffix("]").split(" ")
        value = str(record.get(column, ""))
        if not {"=": value == wanted, ">": value > wanted, ">=": value >= wanted}[operator]:
            return False
    return True
