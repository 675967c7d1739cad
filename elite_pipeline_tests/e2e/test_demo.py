"""The demo as an operator sees it: one command, real Dagster, real runs, and nothing left behind."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from elite_pipeline_tests.support.demos import CLIENTS, Demo

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path / "demo")
    try:
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.stop()


def test_first_sync_is_under_way_edits_arrive_and_ctrl_c_ends_everything(demo: Demo) -> None:
    demo.eventually(demo.is_up, "the demo comes up")
    demo.eventually(lambda: demo.succeeded("everything") == {"elite", "wje"}, "both are synced")
    by_client = dict(demo.helpdesk("SELECT clientid, count(*) FROM tickets GROUP BY clientid"))
    assert set(by_client) == {1, 2}
    replies = demo.helpdesk("SELECT count(*) FROM tickets_replies")[0][0]
    comments = demo.helpdesk("SELECT count(*) FROM comments")[0][0]

    said = demo.edit("elite") + demo.edit("wje")

    external, internal = said.count("new external note"), said.count("new internal note")
    assert external + internal == 6
    assert said.count("repair order ") == 3
    expected = (replies + external, comments + internal)
    demo.eventually(
        lambda: (
            (
                demo.helpdesk("SELECT count(*) FROM tickets_replies")[0][0],
                demo.helpdesk("SELECT count(*) FROM comments")[0][0],
            )
            == expected
        ),
        "a schedule brings the edits over",
    )
    # and what happens in Freshservice goes through TOGA 2 into the helpdesk
    before = demo.helpdesk("SELECT count(*) FROM tickets WHERE clientid = 1")[0][0]
    assert demo.work_in_freshservice(12).count("ticket ") >= 12
    demo.eventually(
        lambda: set(demo.webhooks()) == {"DONE"} and sum(demo.webhooks().values()) >= 12,
        "the sensor sees the webhooks, and a run carries what they name",
    )
    demo.eventually(
        lambda: demo.helpdesk("SELECT count(*) FROM tickets WHERE clientid = 1")[0][0] > before,
        "a schedule brings the new tickets into the helpdesk",
    )
    demo.stop()
    assert demo.process.returncode == 0
    assert demo.left_over() == []

    kept = demo.helpdesk("SELECT count(*) FROM tickets_replies")[0][0]
    # once more: the data are kept, and nothing of them is made anew
    demo.output.write_text("")
    demo.process = demo.start()
    demo.eventually(demo.is_up, "the demo comes up again")
    assert "first start only" not in demo.output.read_text()
    assert demo.helpdesk("SELECT count(*) FROM tickets_replies")[0][0] == kept


def test_people_type_on_both_sides_and_once_they_stop_nothing_is_written_any_more(
    demo: Demo,
) -> None:
    demo.eventually(demo.is_up, "the demo comes up")
    demo.eventually(lambda: demo.succeeded("everything") == set(CLIENTS), "both are synced")
    # what was typed at the helpdesk before the first sync is in TOGA 2, and files went both ways
    for table in ("tickets", "tickets_replies", "comments"):
        assert demo.helpdesk(f"SELECT count(*) FROM {table} WHERE referenceId IS NULL") == [(0,)]
    made = demo.toga2_writes()
    for route in ("tickets", "ticket-notes", "repair-orders", "repair-order-notes", "files"):
        assert set(made[f"POST /{route}"]) == {"201"}
    stored = {path.name for path in (demo.folder / "uploads").iterdir()}
    files = demo.helpdesk("SELECT file, filesize, clientid FROM files")
    assert stored == {file for file, _, _ in files}
    assert min(size for _, size, _ in files) > 0
    assert (demo.folder / "client_logs.sqlite").exists()

    for client in CLIENTS:
        said = demo.type(client)
        assert said.count("TOGA 2: ") > 5
        assert said.count("helpdesk: ") > 5
        assert "with a file" in said

    for client in CLIENTS:
        demo.eventually(partial(demo.is_quiet, client), f"{client} goes quiet")
    made = demo.toga2_writes()
    for _ in range(2):
        assert [demo.sync_tickets(client) for client in CLIENTS] == [{}, {}]
    assert demo.toga2_writes() == made
    for table in ("tickets", "tickets_replies", "comments"):
        assert demo.helpdesk(f"SELECT count(*) FROM {table} WHERE referenceId IS NULL") == [(0,)]
