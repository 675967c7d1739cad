"""What an asset's page shows of a result: here what went wrong; the rest is tested with the assets."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from elite_pipeline.defs.metadata import result_metadata
from elite_pipeline.ledger import DeadLetter
from elite_pipeline.sync.results import FlowResult, Letters, RecordFailure

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)


def failure(of: str, record: str) -> RecordFailure:
    return RecordFailure(record, "permanent", f"{record} is broken", NOON, of)


def letter(of: str, record: str) -> DeadLetter:
    return DeadLetter(
        client="elite",
        flow="toga2_to_togadesk",
        entity=of,
        record=record,
        kind="permanent",
        error=f"{record} is broken",
        attempts=1,
        first_failed=NOON,
        last_failed=NOON,
        next_attempt=None,
        updated=NOON,
    )


def tables(failures: list[RecordFailure], letters: list[DeadLetter]) -> dict[str, list[Any]]:
    result = FlowResult(
        client="elite",
        flow="toga2_to_togadesk",
        failed=len(failures),
        failures=tuple(failures),
        dead_letters=Letters(len(letters), 0, NOON, tuple(letters)),
    )
    shown = result_metadata(result)
    return {
        name: [record.data for record in value.records]
        for name, value in shown.items()
        if isinstance(value, dg.TableMetadataValue)
    }


def test_what_failed_is_shown_once_as_the_dead_letter_that_it_is() -> None:
    shown = tables([failure("t1", "note 1")], [letter("t1", "note 1"), letter("t1", "note 2")])
    assert list(shown) == ["dead letters"]
    assert [(row["record"], row["this run"]) for row in shown["dead letters"]] == [
        ("note 1", "failed"),
        ("note 2", ""),
    ]


def test_what_failed_and_is_beyond_the_table_of_dead_letters_is_shown_beside_it() -> None:
    shown = tables(
        [failure("t1", "t1"), failure("t2", "t2"), failure("t2", "t1")], [letter("t1", "t1")]
    )
    assert list(shown) == ["dead letters", "failures"]
    assert [(row["of"], row["record"]) for row in shown["failures"]] == [("t2", "t2"), ("t2", "t1")]
