"""A batch is left alone after one look only where every row is plainly what it should be."""

from typing import Any

import pytest

from elite_pipeline.errors import PermanentError
from elite_pipeline.sync.contacts import Contacts
from elite_pipeline.sync.reference_batch import are_unchanged
from elite_pipeline.toga2.models import Contact

KIND = Contacts()
CLIENT = 7
RECORDS = [
    Contact.model_validate({"uuid": uuid, "_updated": "2026-06-10 08:00:00"}) for uuid in ("a", "b")
]
#: Uuid -> the owned columns, in their order.
PLANNED: dict[str, Any] = {
    uuid: {"name": f"N {uuid}", "email": f"{uuid}@example.com", "title": "", "mobile": "1"}
    for uuid in ("a", "b")
}


def row(uuid: str, id_: int = 1, client: int = CLIENT, **changed: Any) -> list[Any]:
    """Return a row as it is looked up: id, client, reference, the owned columns, the type."""
    return [id_, client, uuid, *{**PLANNED[uuid], **changed}.values(), "user"]


def unchanged(rows: list[Any], planned: dict[str, Any] | None = None) -> bool:
    return are_unchanged(KIND, CLIENT, RECORDS, planned or PLANNED, rows)


def test_rows_that_are_as_they_should_be() -> None:
    assert unchanged([row("b", 2), row("a")])
    # a driver's rows may be of another kind
    assert unchanged([tuple(row("a")), tuple(row("b"))])


@pytest.mark.parametrize("column", KIND.owned)
def test_every_owned_column_counts(column: str) -> None:
    for value in ("another", None):
        changed: dict[str, Any] = {column: value}
        assert not unchanged([row("a"), row("b", **changed)])


def test_a_row_of_somebody_else_is_another_one() -> None:
    assert not unchanged([row("a"), row("b", client=CLIENT + 1)])
    other = row("b")
    other[2] = None
    assert not unchanged([row("a"), other])


def test_one_that_is_missing_or_there_twice_is_looked_at_closely() -> None:
    assert not unchanged([row("a")])
    assert not unchanged([row("a"), row("a", 2)])
    assert not unchanged([row("a"), row("b"), row("b", 3)])


def test_one_that_cannot_be_a_row_is_looked_at_closely() -> None:
    rows = [row("a"), row("b")]
    assert not unchanged(rows, {**PLANNED, "b": PermanentError("has no e-mail address")})
    assert not unchanged(rows, {"a": PLANNED["a"]})
