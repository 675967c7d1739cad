"""A run out of Freshservice that is killed at any of its effects loses nothing and doubles nothing."""

import os
import signal
from collections import Counter
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from elite_pipeline.inbox import Inbox
from elite_pipeline_tests.support.effects import Effects, Point
from elite_pipeline_tests.support.helpdesks import Opener
from elite_pipeline_tests.support.ledgers import empty_database
from elite_pipeline_tests.support.service_desk import CLIENT, ServiceDesk

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.parametrize("helpdesk", ["sqlite"], indirect=True),
]


class Play:
    """One history in Freshservice: two tickets with everything that hangs on them."""

    _numbers = count(1)

    def __init__(self, desk: ServiceDesk) -> None:
        self.desk, account = desk, desk.account
        number = self.number = next(self._numbers)
        asking = account.add_requester("Ada", f"No{number}", f"ada{number}@example.com")
        group = account.add_group(f"Group {number}")
        path = ("Hardware", f"Laptop {number}", "Screen")
        account.set_categories([path[:1], path[:2], path])
        self.first = account.new_ticket(
            "One",
            requester=asking,
            group_id=group,
            category=path,
            files=[("a.txt", b"a%d" % number), ("a.txt", b"b%d" % number)],
            images=[("i.png", b"i%d" % number)],
        )
        account.reply(self.first, "<div>Public</div>", files=[("c.txt", b"c%d" % number)])
        account.reply(
            self.first, "<div>Private</div>", private=True, images=[("j.png", b"j%d" % number)]
        )
        self.second = account.new_ticket("Two", requester=asking)
        account.reply(self.second, "<div>Other</div>")
        self.rows = [desk.hint(ticket) for ticket in (self.first, self.second)]

    def wrong(self) -> list[str]:
        """Return what is not as it should be."""
        desk = self.desk
        found: list[tuple[Any, Any]] = [
            (Counter(desk.rows()), Counter(DONE=len(desk.rows()))),
            (desk.letters(), []),
            (
                [name for name, _ in desk.files_of(desk.carrier(self.first))],
                ["a.txt", "a.txt", "i.png"],
            ),
            (
                [
                    (note["isExternal"], [content for _, content in desk.files_of(note)])
                    for note in desk.notes(self.first)
                ],
                [(True, [b"c%d" % self.number]), (False, [b"j%d" % self.number])],
            ),
            ([note["body"] for note in desk.notes(self.second)], ["<div>Other</div>"]),
            (desk.keyed_twice(), []),
            (desk.loose_files(), []),
        ]
        return [f"{here} instead of {wanted}" for here, wanted in found if here != wanted]


def run_in_child(desk: ServiceDesk, diary: Path, death: Point | None) -> int:
    """Run the flow in a process of its own; return how it ended."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            Effects(diary, death, desk.systems.ledger_url, commits=True).install()
            # the parent's connections are the parent's
            with closing(Inbox(desk.systems.ledger_url)) as inbox:
                desk.inbox = inbox
                desk.sync()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def until_quiet(desk: ServiceDesk) -> None:
    for _ in range(8):
        result = desk.sync()
        desk.systems.later_by(hours=7)
        if not (result.failed or result.dead_letters.waiting or set(desk.rows()) - {"DONE"}):
            return


@pytest.mark.parametrize(
    ("ledger", "step"),
    [
        pytest.param("sqlite", 1, id="sqlite"),
        pytest.param("mariadb-modern-strict", 5, id="mariadb", marks=pytest.mark.server),
    ],
)
def test_death_right_before_each_effect(
    service_desk: ServiceDesk, tmp_path: Path, open_helpdesk: Opener, ledger: str, step: int
) -> None:
    folder = tmp_path / "ledger"
    folder.mkdir()
    service_desk.systems.ledger_url = empty_database(ledger, folder, open_helpdesk)
    one_at_a_time(service_desk)
    with closing(Inbox(service_desk.systems.ledger_url)) as inbox:
        service_desk.inbox = inbox
        play = Play(service_desk)
        assert run_in_child(service_desk, tmp_path / "undisturbed", None) == 0
        until_quiet(service_desk)
        assert play.wrong() == []
        effects = (tmp_path / "undisturbed").read_text(encoding="utf-8").splitlines()
        assert {"POST /tickets", "POST /files", "COMMIT ledger"} < set(effects)
        failed = {}
        for number in range(0, len(effects), step):
            play = Play(service_desk)
            death = Point("before", number)
            ended = run_in_child(service_desk, tmp_path / f"before-{number}", death)
            assert ended in (-signal.SIGKILL, 0)
            until_quiet(service_desk)
            if wrong := play.wrong():
                failed[f"before {number}: {effects[number]}"] = wrong
    assert failed == {}, dict(list(failed.items())[:3])


def one_at_a_time(desk: ServiceDesk) -> None:
    """Let the effects of a run always come in the same order."""
    entry = desk.systems.clients[CLIENT]
    toga2 = entry.toga2.model_copy(update={"max_in_flight": 1})
    desk.systems.clients[CLIENT] = entry.model_copy(update={"toga2": toga2})
