"""What writes in a transaction has a stand-in in each twin: one that was forgotten would write."""

import pytest

from elite_pipeline.sync.verify.watching import WatchingTx
from elite_pipeline.togadesk import Tx
from elite_pipeline.togadesk.planned import PlannedTx

#: What a transaction has beside what it reads by.
WRITING = sorted(name for name in vars(Tx) if not name.startswith("_"))


def test_there_is_something_that_writes() -> None:
    assert {"insert", "insert_columns", "update", "delete"} <= set(WRITING)


@pytest.mark.parametrize("name", WRITING)
def test_verify_only_notes_it(name: str) -> None:
    assert name in vars(WatchingTx)


# names are made through the others
@pytest.mark.parametrize("name", [one for one in WRITING if one != "find_or_create_names"])
def test_a_dry_run_only_plans_it(name: str) -> None:
    assert name in vars(PlannedTx)
