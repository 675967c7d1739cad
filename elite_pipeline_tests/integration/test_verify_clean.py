"""After a correct sync both sides verify clean, whatever the sandbox has made up."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from elite_pipeline.sandbox.data import generate
from elite_pipeline.sandbox.togadesk.seed import HelpdeskClient, seed_helpdesk
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.verifying import said, verified

END = datetime(2026, 6, 10, 12, tzinfo=UTC)
SIZES: dict[str, Any] = {
    "contacts": 60,
    "units": 30,
    "teams": 5,
    "predefined_replies": 20,
    "categories": 40,
    "tickets": 60,
}
CLIENTS = ("elite", "wje")


def fill(systems: Systems, *, dirty: bool = False) -> None:
    """Make both clients' data in TOGA 2, and people and lists in the helpdesk."""
    for client in CLIENTS:
        generate(
            systems.toga2_store,
            client,
            seed=3,
            start=END - timedelta(days=730),
            end=END,
            dirty=dirty,
            **SIZES,
        )
    entries = [systems.clients[name].togadesk for name in CLIENTS]
    seed_helpdesk(
        systems.helpdesk.engine,
        [
            HelpdeskClient(entry.client_id, name.upper(), (entry.ticket_department_id,))
            for name, entry in zip(CLIENTS, entries, strict=True)
        ],
        seed=3,
    )


@pytest.mark.parametrize("helpdesk", ["sqlite"], indirect=True)
@pytest.mark.parametrize("dirty", [False, True])
def test_the_sandbox_data_verifies_clean(systems: Systems, dirty: bool) -> None:
    fill(systems, dirty=dirty)
    for client in CLIENTS:
        for _ in range(2):
            systems.sync_all(client)
        _, findings = verified(systems, client)
        differences = [one for one in findings if one.is_difference]
        assert not differences, said(differences)
