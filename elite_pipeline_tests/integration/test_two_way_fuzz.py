"""Whatever happens on both sides, in the end everything holds: ``spec/sync.md`` section 10, two ways.

A history is edits of two clients in TOGA 2 and in the helpdesk, and runs of either flow that are killed,
meet faults, or meet edits (``support.two_way_history``, ``two_way_faults``). Then the faults stop, the
sync runs until it is quiet, and both sides are compared with what the edits alone say
(``support.two_way_state``).
"""

from unittest.mock import patch

import pytest

from elite_pipeline.sync.verify.plainly_equal import PlainlyEqual
from elite_pipeline_tests.support.quiet import CLIENTS, check_quiet, settle
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.two_way_history import TwoWayHistory
from elite_pipeline_tests.support.two_way_state import TwoWayState
from elite_pipeline_tests.support.verifying import said, verified

# many runs in each: more than others, where the machine is slow
pytestmark = pytest.mark.timeout(1200)

#: All but the first have failed once. A seed is not wholly repeatable: requests race.
SEEDS = (0, 5, 11, 12, 23, 32, 56, 72, 85, 88)
HISTORIES = [
    *(pytest.param("sqlite", seed, id=f"sqlite-{seed}") for seed in SEEDS),
    # where a killed run leaves half of what it wrote
    pytest.param("mariadb-modern-strict", 11, id="modern-11", marks=pytest.mark.server),
    pytest.param("mariadb-legacy-strict", 10, id="legacy-10", marks=pytest.mark.server),
]


def check_shortcut(systems: Systems) -> None:
    """What is found does not depend on which tickets pass as plainly equal."""
    for client in CLIENTS:
        _, found = verified(systems, client)
        with patch.object(PlainlyEqual, "among", lambda *_: {}):
            _, found_by_looking_closer = verified(systems, client)
        assert sorted(map(str, found)) == sorted(map(str, found_by_looking_closer))


@pytest.mark.parametrize(("helpdesk", "seed"), HISTORIES, indirect=["helpdesk"])
def test_after_a_random_history_everything_holds(systems: Systems, seed: int) -> None:
    history = TwoWayHistory(systems, seed)
    try:
        history.unfold()
        check_shortcut(systems)
        history.diary.append("-- the faults stop")
        history.find_bytes()
        settle(systems)
        states = [TwoWayState(systems, history, client) for client in CLIENTS]
        for state in states:
            state.check()
            unexpected = [
                letter
                for letter in state.letters()
                if "no counterpart" not in letter and "are missing in the uploads" not in letter
            ]
            assert not unexpected
        check_quiet(systems)
        # a status that was changed without a word, and a file without bytes, are differences
        if not history.silent and not history.may_lose:
            for client in CLIENTS:
                _, findings = verified(systems, client)
                assert not [one for one in findings if one.is_difference], said(findings)
        if not history.silent and not history.odd:
            check_quiet(systems, full=True)
    except BaseException as error:
        error.add_note("\n".join(history.diary))
        raise
