"""Both directions of both clients at once, while people type on both sides (``spec/sync.md`` 10).

Every run is a process of its own. Then people stop, the sync runs until it is quiet, and both sides are
compared with what the edits alone say: nothing lost, nothing doubled, nothing echoed, nothing of one
client under another, whatever ran beside whatever, and whoever was killed at it.
"""

import random
from pathlib import Path

import pytest

from elite_pipeline_tests.support.helpdesks import Opener
from elite_pipeline_tests.support.quiet import CLIENTS, check_quiet, settle
from elite_pipeline_tests.support.side_by_side import BusyHistory, SideBySide, busy
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.two_way_history import INWARDS, OUTWARDS, REFERENCE_FLOWS
from elite_pipeline_tests.support.two_way_state import TwoWayState

# several runs at once: slower than others, where the machine is slow
pytestmark = pytest.mark.timeout(1200)

#: As schedules start them: reference data beside tickets, and either direction as one likes.
LANES = [
    (client, flows) for client in CLIENTS for flows in ((INWARDS,), (OUTWARDS,), REFERENCE_FLOWS)
]
ROUNDS = 5
EDITS_A_ROUND = 25
#: More than a reply is left alone for.
A_WHILE = 400

KINDS = [
    pytest.param("sqlite", id="sqlite"),
    pytest.param("mariadb-legacy-lax", id="myisam", marks=pytest.mark.server),
    pytest.param("mariadb-modern-strict", id="innodb", marks=pytest.mark.server),
]


@pytest.fixture(autouse=True)
def ledger(systems: Systems, open_helpdesk: Opener) -> None:
    """Keep the ledger where the helpdesk is: on a server, if that is on one."""
    if systems.helpdesk.server is not None:
        systems.ledger_url = open_helpdesk("mariadb-modern-strict").url


@pytest.mark.parametrize("helpdesk", KINDS, indirect=True)
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("mortality", [0.0, 0.5], ids=["alive", "killed"])
def test_everything_at_once(systems: Systems, tmp_path: Path, seed: int, mortality: float) -> None:
    for client in CLIENTS:
        systems.clients[client] = busy(systems.clients[client])
    history = BusyHistory(systems, seed)
    together = SideBySide(systems, tmp_path, LANES, random.Random(seed))
    watermarks: dict[tuple[str, str], str] = {}
    try:
        for _ in range(ROUNDS):
            assert together.run_while(history, most=EDITS_A_ROUND, mortality=mortality) == []
            history.let_pass(A_WHILE)
            for name, value in stored(systems).items():
                assert value >= watermarks.get(name, ""), f"{name} went back"
                watermarks[name] = value
        settle(systems)
        states = [TwoWayState(systems, history, client) for client in CLIENTS]
        for state in states:
            state.check()
            assert state.letters() == []
        check_quiet(systems)
        check_quiet(systems, full=True)
    except BaseException as error:
        error.add_note("\n".join(history.diary))
        raise


def stored(systems: Systems) -> dict[tuple[str, str], str]:
    """Return the watermarks."""
    return {
        (client, one["name"]): one["value"]
        for client in CLIENTS
        for one in systems.toga2_store.all(client, "parameters")
    }
