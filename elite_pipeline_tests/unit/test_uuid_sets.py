"""What a full run has listed, held against what is there."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from elite_pipeline.sync import uuid_sets
from elite_pipeline.sync.uuid_sets import UuidSet


@pytest.fixture
def listed() -> Iterator[UuidSet]:
    with UuidSet() as made:
        yield made


def test_an_empty_set_has_nothing(listed: UuidSet) -> None:
    assert listed.count() == 0
    assert listed.count_missing(["a", str(uuid4())]) == 2


def test_each_uuid_counts_once_in_both_cases(listed: UuidSet) -> None:
    uuids = [str(uuid4()) for _ in range(1_500)]
    listed.add(uuids)
    listed.add([uuid.upper() for uuid in uuids])
    assert listed.count() == 1_500
    assert listed.added == listed.count(each_came_once=True) == 3_000
    assert listed.count_missing([*uuids, str(uuid4())]) == 1
    assert listed.count_missing([str(uuid4())] * 2) == 2


def test_what_is_added_after_a_question_counts_too(
    listed: UuidSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uuid_sets, "_BLOCK", 2)
    for number in range(5):
        listed.add([f"record-{number}", f"record-{number + 1}"])
        assert listed.count() == number + 2
    assert listed.count_missing(["record-0", "RECORD-5", "record-6"]) == 1


def test_any_text_can_be_a_uuid(listed: UuidSet) -> None:
    odd = ["", "x" * 36, "é" * 36, "half \ud83d", "-" * 36, "0" * 36, "0" * 32]
    listed.add(odd)
    assert listed.count() == len(odd)
    assert listed.count_missing(odd) == 0
