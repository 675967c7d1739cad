"""Dagster's page in a real browser, on a running demo: what an operator does there, and sees of it.

``make pictures`` takes the pictures of ``docs/images`` with these tests.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from elite_pipeline.demo import DEMO_REGISTRY
from elite_pipeline.sandbox.caller import Caller
from elite_pipeline.sandbox.registry import find_client
from elite_pipeline.sandbox.toga2.documents import Document
from elite_pipeline_tests.support.browser import running_chromium
from elite_pipeline_tests.support.demos import CLIENTS, Demo
from elite_pipeline_tests.support.page import Operator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

#: The asset that carries tickets into the helpdesk, and what it is called in a config.
TICKET_DELTAS = "togadesk/ticket_deltas"
OP = "togadesk__ticket_deltas"
#: How far behind the watermark reading starts.
LAG = timedelta(seconds=120)

#: The sensor whose cursor is set back.
SENSOR = "ticket_watermarks"
#: How far it has seen the tickets of ``elite`` in TOGA 2.
CURSOR = re.compile(r'"elite": \{"toga2_to_togadesk": "([0-9: -]+)"')


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    demo = Demo(tmp_path_factory.mktemp("page") / "demo")
    try:
        demo.eventually(demo.is_up, "the demo comes up")
        # nothing runs but the first sync, and then what a test starts
        demo.switch_everything_off()
        demo.eventually(lambda: demo.succeeded("everything") == set(CLIENTS), "both are synced")
        demo.eventually(demo.is_at_rest, "all else is through")
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    with running_chromium() as context:
        yield context


@pytest.fixture
def operator(browser: BrowserContext, demo: Demo, tmp_path: Path) -> Iterator[Operator]:
    with browser.new_page() as page:
        yield Operator(page, demo.url, tmp_path)
        # for whoever looks into a failure
        page.screenshot(path=tmp_path / "at-the-end.png")


@pytest.fixture
def toga2(demo: Demo) -> Caller:
    """TOGA 2, as the client ``elite`` uses it."""
    return Caller(demo.toga2_port, find_client(DEMO_REGISTRY, "elite"))


@pytest.fixture
def since() -> datetime:
    """A watermark of some days ago, as somebody would type it."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=9)


def started_from(since: datetime) -> str:
    """Return what a run says that was told to start there."""
    return f"{since - LAG:%Y-%m-%d %H:%M:%S} UTC"


def write_note(toga2: Caller, ticket: Document, body: str, *, is_external: bool) -> str:
    note = {
        "ticket": {"uuid": ticket["uuid"]},
        "isExternal": is_external,
        "body": f"<p>{body}</p>",
        "authorName": "Sandbox Agent",
        "authorEmail": "agent@sandbox.example.net",
    }
    uuid: str = toga2.call("POST", "/v2/ticket-notes", note)["data"]["ticketNotes"]["uuid"]
    return uuid


def attach(toga2: Caller, note: str, name: str, content: bytes) -> None:
    file = {"name": name, "contentType": "text/plain", "data": b64encode(content).decode()}
    uuid = toga2.call("POST", "/v2/files", file)["data"]["files"]["uuid"]
    toga2.call("POST", f"/v2/ticket-notes/{note}/ticket-note-files", {"file": {"uuid": uuid}})


def test_lineage_shows_all_assets_at_the_address_that_the_demo_prints(
    operator: Operator, demo: Demo
) -> None:
    page = operator.page
    operator.resize(height=1300)
    page.goto(demo.address_after("Lineage, all groups open:"))
    expect(page.get_by_text("webhooks", exact=True)).to_be_visible()

    operator.zoom_out_to("comments", "webhooks", "ticket_notes", "category_trees", "teams")

    # one into the helpdesk, one out of it
    expect(page.get_by_text("ticket_deltas", exact=True)).to_have_count(2)
    # Dagster shortens it in the middle
    expect(page.get_by_text(re.compile("^freshservi.*_deltas$"))).to_have_count(1)
    for name in ("contacts", "units", "predefined_replies"):
        expect(page.get_by_text(name, exact=True)).to_have_count(2)
    for name in ("replies", "files", "conversations", "ticket_teams", "ticket_categories"):
        expect(page.get_by_text(name, exact=True)).to_have_count(1)
    # what has been carried over is told from what it comes from
    operator.wait_until_green("ticket_deltas")
    operator.wait_until_green("category_trees")
    operator.picture("lineage", height=1300)


def test_one_partition_is_materialized_and_says_what_it_did(
    operator: Operator, toga2: Caller
) -> None:
    listed = toga2.call("GET", "/v2/tickets", orderBy="_created", limit=200)["data"]["tickets"]
    # such as every machine's fonts can show
    busy, answered, quiet = [ticket for ticket in listed if ticket["subject"].isascii()][:3]
    priority = "HIGH" if busy["priority"] != "HIGH" else "LOW"
    toga2.call("PATCH", f"/v2/tickets/{busy['uuid']}", {"priority": priority})
    note = write_note(toga2, answered, "A new one is on its way.", is_external=True)
    attach(toga2, note, "invoice.txt", b"1 printer")
    write_note(toga2, quiet, "Ask the warehouse first.", is_external=False)
    operator.open_asset(TICKET_DELTAS, tab="partitions")

    dialog = operator.materialize()
    operator.choose_partition(dialog, "elite")
    run = operator.launch_run(dialog.get_by_role("button", name="Launch 1 run"))

    shown = operator.materialization(TICKET_DELTAS, "elite", run=run)
    assert (shown["created"], shown["updated"], shown["failed"]) == ("0", "3", "0")
    assert int(shown["unchanged"]) >= 0
    for what in ("replies created", "comments created", "files created"):
        assert shown[what] == "1"
    assert shown["watermark before"] < shown["watermark after"]
    for heading in ("record", "what", "done", "columns"):
        assert heading in shown["changes"]
    for ticket in (busy, answered, quiet):
        assert ticket["uuid"] in shown["changes"]
        assert ticket["subject"] in shown["changes"]
    operator.picture("ticket-deltas", height=1420)


def test_launchpad_describes_what_can_be_chosen_and_the_run_starts_there(
    operator: Operator, since: datetime
) -> None:
    operator.open_asset(TICKET_DELTAS, tab="partitions")
    launchpad = operator.open_launchpad()
    launchpad.get_by_placeholder("Partition").click()
    operator.page.get_by_role("menuitem", name="elite").click()
    expect(launchpad.get_by_text("partition: elite")).to_be_visible()

    operator.type_below(launchpad, "full: false", f'since: "{since:%Y-%m-%d %H:%M:%S}"')

    expect(launchpad.get_by_text("Start from this watermark instead of the")).to_be_visible()
    expect(launchpad.get_by_text("Ignore the watermark, read everything")).to_be_visible()
    expect(launchpad.get_by_text("No errors")).to_be_visible()
    button = launchpad.get_by_role("button", name=re.compile("Materialize$"))
    expect(button).to_be_enabled()
    operator.picture("launchpad", height=1340)
    run = operator.launch_run(button)
    shown = operator.materialization(TICKET_DELTAS, "elite", run=run)
    assert shown["started from"] == started_from(since)
    # all of it was there, and the stored watermark was past it
    assert int(shown["unchanged"]) > 0
    assert (shown["created"], shown["updated"], shown["SQL writes"]) == ("0", "0", "0")
    assert shown["watermark before"] == shown["watermark after"]


def test_backfill_of_all_clients_starts_from_a_chosen_watermark(
    operator: Operator, demo: Demo, since: datetime
) -> None:
    operator.open_asset(TICKET_DELTAS, tab="partitions")
    dialog = operator.materialize()
    operator.choose_all_partitions(dialog)
    expect(dialog).to_contain_text(f"{len(CLIENTS)} partitions")

    operator.add_config(
        dialog,
        "ops:",
        f"  {OP}:",
        "    config:",
        f'      since: "{since:%Y-%m-%d %H:%M:%S}"',
    )

    operator.picture("backfill-dialog", height=1000)
    backfill = operator.launch_backfill(dialog)
    for client in CLIENTS:
        expect(operator.page.get_by_text(client, exact=True).first).to_be_visible()
    # the page itself says so half a minute later, when the daemon looks again
    demo.eventually(lambda: demo.backfilled(backfill) == set(CLIENTS), "both are through")
    for client in CLIENTS:
        shown = operator.materialization(TICKET_DELTAS, client)
        assert shown["started from"] == started_from(since)
        assert (shown["created"], shown["failed"]) == ("0", "0")


def test_sensor_goes_on_from_the_cursor_that_somebody_sets(
    operator: Operator, demo: Demo, since: datetime
) -> None:
    # not what another test has chosen
    chosen = f"{since + timedelta(days=1):%Y-%m-%d %H:%M:%S}"
    operator.open_sensor(SENSOR)
    operator.switch_sensor(on=True)
    expect(operator.cursor).to_contain_text(CURSOR)
    operator.switch_sensor(on=False)
    # a tick that is under way still writes its own cursor when it ends
    demo.eventually(lambda: demo.is_between_ticks(SENSOR), "the last tick ends")
    operator.open_sensor(SENSOR)
    (seen,) = CURSOR.findall(operator.cursor.inner_text())

    dialog = operator.open_cursor()
    operator.type_cursor(dialog, seen, chosen)
    operator.picture("sensor-cursor")
    operator.set_cursor(dialog)
    expect(operator.cursor).to_contain_text(chosen)
    operator.switch_sensor(on=True)

    run = operator.open_run_of_sensor(f"the cursor was set back from {seen}")
    shown = operator.materialization(TICKET_DELTAS, "elite", run=run)
    assert shown["started from"] == started_from(since + timedelta(days=1))
    assert (shown["created"], shown["failed"]) == ("0", "0")
    operator.open_sensor(SENSOR)
    operator.switch_sensor(on=False)


def test_failing_check_says_why_and_what_to_do(
    operator: Operator, demo: Demo, toga2: Caller
) -> None:
    page = operator.page
    ((admin,),) = demo.helpdesk("SELECT email FROM people WHERE type = 'admin' ORDER BY id LIMIT 1")
    contact = {"firstName": "Grace", "lastName": "Hopper", "email": admin}
    uuid = toga2.call("POST", "/v2/contacts", contact)["data"]["contacts"]["uuid"]
    operator.open_asset("togadesk/contacts", tab="partitions")
    dialog = operator.materialize()
    operator.choose_partition(dialog, "elite")

    run = operator.launch_run(dialog.get_by_role("button", name="Launch 1 run"))

    operator.open_asset("togadesk/contacts", tab="checks")
    operator.choose_check("no_dead_letters")
    expect(page.get_by_text("Failed", exact=True).first).to_be_visible()
    expect(page.get_by_text(f"{uuid} (permanent): its email belongs")).to_be_visible()
    expect(page.get_by_text("change the address in TOGA 2")).to_be_visible()
    expect(
        page.get_by_text("elite-pipeline dead-letters list --client elite --flow contacts")
    ).to_be_visible()
    operator.picture("check-fails", height=700)
    shown = operator.materialization("togadesk/contacts", "elite", run=run)
    assert (shown["failed"], shown["dead letters waiting"]) == ("1", "1")
    assert uuid in " ".join(shown["dead letters"].split())
    assert "belongs to an administrator" in shown["dead letters"]
    operator.picture("dead-letters", width=1700, down_to=page.get_by_text("Show tags"))
