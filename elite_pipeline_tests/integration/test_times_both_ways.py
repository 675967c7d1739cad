"""Instants, both ways, in zones whose clocks change (``spec/sync.md`` section 10, rules 4, 7 and 12)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from elite_pipeline.sync.watermarks import TOGADESK_TICKETS
from elite_pipeline.togadesk import Tx
from elite_pipeline_tests.support.helpdesks import ALL_PARAMS
from elite_pipeline_tests.support.note_files import there
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk
from elite_pipeline_tests.support.typing import Typist

# many runs in each: more than others, where the machine is slow
pytestmark = pytest.mark.timeout(1200)

CLIENT = "wje"
IN, OUT = "toga2_to_togadesk", "togadesk_to_toga2"
ONE_KIND = pytest.mark.parametrize("helpdesk", ["sqlite"], indirect=True)

#: Minutes from run to run. Every minute is hundreds of runs: on one server, of the kind of production.
EVERY_STEP = pytest.mark.parametrize(
    ("helpdesk", "step"),
    [
        pytest.param(*kind.values, step, id=f"{kind.id}-{step}", marks=kind.marks)
        for kind in ALL_PARAMS
        for step in (1, 23, 200)
        if step > 1 or kind.id in ("sqlite", "mariadb-legacy-lax")
    ],
    indirect=["helpdesk"],
)

#: Zone -> when its clocks go forward and back in 2026.
CHANGES = {
    "America/Chicago": ("2026-03-08T08:00:00+00:00", "2026-11-01T07:00:00+00:00"),
    "Europe/London": ("2026-03-29T01:00:00+00:00", "2026-10-25T01:00:00+00:00"),
    # by half an hour
    "Australia/Lord_Howe": ("2026-10-03T15:30:00+00:00", "2026-04-04T15:00:00+00:00"),
}
ALL_CHANGES = [(zone, change) for zone, changes in CHANGES.items() for change in changes]
SECONDS = (-7200, -3601, -3600, -1801, -1800, -1, 0, 1, 1799, 1800, 3599, 3600, 7200)


def set_zone(systems: Systems, zone: str) -> None:
    entry = systems.clients[CLIENT]
    togadesk = entry.togadesk.model_copy(update={"timezone": zone})
    systems.clients[CLIENT] = entry.model_copy(update={"togadesk": togadesk})


class TestIntoTheHelpdesk:
    @pytest.mark.parametrize(
        ("instant", "local"),
        [
            ("2026-03-08T07:59:59+00:00", "2026-03-08 01:59:59"),
            ("2026-03-08T08:00:00+00:00", "2026-03-08 03:00:00"),
            ("2026-11-01T06:30:00+00:00", "2026-11-01 01:30:00"),
            ("2026-11-01T06:59:59+00:00", "2026-11-01 01:59:59"),
            ("2026-11-01T07:00:00+00:00", "2026-11-01 01:00:00"),
            ("2026-11-01T07:30:00+00:00", "2026-11-01 01:30:00"),
            ("2026-11-01T08:00:00+00:00", "2026-11-01 02:00:00"),
        ],
    )
    def test_time_is_the_one_on_the_wall_there(
        self, systems: Systems, instant: str, local: str
    ) -> None:
        fill(systems, [datetime.fromisoformat(instant)])
        systems.sync(IN, CLIENT)
        assert {str(one) for one in times(systems)} == {local}

    @pytest.mark.parametrize(("zone", "change"), ALL_CHANGES)
    def test_nothing_of_it_comes_back(self, systems: Systems, zone: str, change: str) -> None:
        set_zone(systems, zone)
        moments = [datetime.fromisoformat(change) + timedelta(seconds=each) for each in SECONDS]
        fill(systems, moments)

        systems.sync(IN, CLIENT)

        walls = [each.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for each in moments]
        # a ticket, its description, a reply, a comment
        assert times(systems) == sorted(walls * 4)
        systems.toga2.reset_stats()
        assert systems.sync(OUT, CLIENT).details == {}
        assert systems.sync(IN, CLIENT, full=True).sql_writes == 0
        written = [one.path for one in systems.toga2.requests if one.method != "GET"]
        assert all(path.startswith("/parameters") for path in written)


def fill(systems: Systems, moments: list[datetime]) -> None:
    """Make a ticket with a note of each kind at each of these moments."""
    desk, store = Desk(systems, CLIENT), systems.toga2_store
    for moment in moments:
        fields = {"subject": "Clock", "description": "<p>Tick</p>", "status": "OPEN"}
        ticket = store.create(CLIENT, desk.tickets_route, fields, created=moment)["uuid"]
        for is_external in (True, False):
            note = {**desk.under(ticket), "body": "<p>Tock</p>", "isExternal": is_external}
            store.create(CLIENT, desk.notes_route, note, created=moment)


def times(systems: Systems) -> list[datetime]:
    return sorted(
        datetime.fromisoformat(str(row[0]))
        for table in ("tickets", "tickets_replies", "comments")
        for row in systems.helpdesk.rows(f"SELECT timestamp FROM {table}")
    )


@dataclass
class Night:
    """People who type at the helpdesk through a clock change, by the clock on its wall.

    Attributes:
        typist: Types.
        moment: What time it is, for everybody.
        written: Table and id of each row -> the instant at which it was written.
        texts: Ticket -> whether it is public, and the text, of everything typed under it, in order.
        files: Contents of files -> the text that they hang on.
    """

    typist: Typist
    moment: datetime
    written: dict[tuple[str, int], datetime] = field(default_factory=dict)
    texts: dict[int, list[tuple[bool, str]]] = field(default_factory=dict)
    files: dict[bytes, str] = field(default_factory=dict)
    late_files: list[tuple[datetime, int, bytes]] = field(default_factory=list)

    def open_ticket(self) -> None:
        id_, description = self.typist.ticket(f"Opened {self.moment:%H:%M:%S}")
        self.texts[id_] = []
        self.written["tickets", id_] = self.written["tickets_replies", description] = self.moment

    def type(self, number: int) -> None:
        """Type one thing, under one of the tickets."""
        ticket = sorted(self.texts)[number // 3 % len(self.texts)]
        text = f"<p>Number {number}, {self.moment:%H:%M:%S} UTC</p>"
        is_public = number % 3 != 1
        if is_public:
            id_ = self.typist.reply(ticket, text)
            self.written["tickets_replies", id_] = self.moment
        else:
            self.written["comments", self.typist.comment(ticket, text)] = self.moment
        self.texts[ticket].append((is_public, text))
        if number % 6 == 0:
            content = f"bytes of {number}".encode()
            self.files[content] = text
            # the web form takes its time
            self.late_files.append((self.moment + timedelta(seconds=6), id_, content))

    def upload_what_is_through(self) -> None:
        for due in [one for one in self.late_files if one[0] <= self.moment]:
            self.late_files.remove(due)
            self.typist.upload(due[1], "late.txt", due[2])

    def unsent(self) -> set[tuple[str, int]]:
        rows = self.typist.systems.helpdesk.rows
        return {
            (table, id_)
            for table in ("tickets", "tickets_replies", "comments")
            for (id_,) in rows(f"SELECT id FROM {table} WHERE referenceId IS NULL")
        }

    def assert_watermark_waits(self) -> None:
        """No row that was not sent was written before the stored watermark."""
        stored = [
            datetime.fromisoformat(one["value"]).replace(tzinfo=UTC)
            for one in self.typist.systems.toga2_store.all(CLIENT, "parameters")
            if one["name"] == TOGADESK_TICKETS
        ]
        for watermark in stored:
            assert watermark <= min(
                (self.written[one] for one in self.unsent()), default=watermark
            ), self.moment

    def arrived(self) -> Mapping[int, list[tuple[bool, str]]]:
        """Return what stands in TOGA 2, as ``texts``, in the order of its making."""
        key = "c_wjeTicketId"
        ids = {one["uuid"]: int(one[key].rpartition(":")[2]) for one in self.typist.made()}
        found: dict[int, list[tuple[bool, str]]] = {id_: [] for id_ in ids.values()}
        for note in self.typist.raw_notes():
            parent = note[self.typist.desk.kind.note_parent]["uuid"]
            found[ids[parent]].append((note["isExternal"], note["body"]))
        return found


@pytest.fixture
def night(systems: Systems, monkeypatch: pytest.MonkeyPatch) -> Night:
    """Let it be whatever time the test says, at the helpdesk, its people's and its server's."""
    night = Night(Typist(systems, CLIENT), datetime(2026, 1, 1, tzinfo=UTC))
    monkeypatch.setattr(Typist, "now", lambda _: night.moment)
    monkeypatch.setattr(Tx, "now", lambda _: night.moment)
    return night


def live_through(night: Night, change: str, step: int) -> None:
    """Type and sync from before a clock change until after it.

    Args:
        night: Who types.
        change: When it is.
        step: Minutes from run to run.
    """
    systems, middle = night.typist.systems, datetime.fromisoformat(change)
    typed = [middle + timedelta(minutes=each, seconds=each * 17 % 60) for each in range(-72, 80)]
    runs = [
        one
        for each in range(-72, 90, step)
        # the second one of a minute often comes between a reply and its files
        for one in (middle + timedelta(minutes=each), middle + timedelta(minutes=each, seconds=36))
    ]
    opened = [middle + timedelta(minutes=each, seconds=3) for each in (-73, -31, -8, 4, 33, 64)]
    uploads = [one + timedelta(seconds=6) for one in typed]
    for moment in sorted({*typed, *runs, *opened, *uploads}):
        night.moment = moment
        if moment in opened:
            night.open_ticket()
        if moment in typed:
            night.type(typed.index(moment))
        night.upload_what_is_through()
        if moment in runs:
            assert systems.sync(OUT, CLIENT).failed == 0
            night.assert_watermark_waits()
            if runs.index(moment) % 20 == 7:
                assert systems.sync(IN, CLIENT).failed == 0
    night.moment = middle + timedelta(hours=3)
    systems.sync(OUT, CLIENT)


def assert_all_there_once(night: Night, *, is_in_order: bool) -> None:
    systems = night.typist.systems
    assert night.unsent() == set()
    arrived = night.arrived()
    for ticket, texts in night.texts.items():
        if is_in_order:
            assert arrived[ticket] == texts
        for is_public in (True, False):
            # which pass is meant is known of the numbers of one table
            there_ = [text for one, text in arrived[ticket] if one is is_public]
            assert there_ == [text for one, text in texts if one is is_public]
    assert arrived.keys() == night.texts.keys()
    assert {content: text for _, text, content in there(night.typist)} == night.files
    assert len(there(night.typist)) == len(night.files)
    before = everything(systems)
    assert systems.sync(IN, CLIENT, full=True).sql_writes == 0
    systems.toga2.reset_stats()
    assert systems.sync(OUT, CLIENT, full=True).sql_writes == 0
    assert [one for one in systems.toga2.requests if one.method != "GET"] == []
    assert everything(systems) == before


def everything(systems: Systems) -> dict[str, list[Any]]:
    tables = ("tickets", "tickets_replies", "comments", "tickets_history", "files")
    return {table: systems.helpdesk.rows(f"SELECT * FROM {table} ORDER BY id") for table in tables}


class TestOutOfTheHelpdesk:
    @EVERY_STEP
    def test_all_of_the_hour_that_comes_twice_arrives_once(self, night: Night, step: int) -> None:
        live_through(night, CHANGES["America/Chicago"][1], step)
        assert_all_there_once(night, is_in_order=step == 1)

    @ONE_KIND
    @pytest.mark.parametrize(("zone", "change"), ALL_CHANGES)
    def test_so_it_does_in_every_zone(self, night: Night, zone: str, change: str) -> None:
        set_zone(night.typist.systems, zone)
        live_through(night, change, 11)
        # what the clocks leave out puts nothing out of order
        is_spring = change == CHANGES[zone][0]
        assert_all_there_once(night, is_in_order=is_spring)

    @ONE_KIND
    def test_watermark_passes_when_the_hour_is_over(self, night: Night) -> None:
        change = datetime.fromisoformat(CHANGES["America/Chicago"][1])
        reached = []
        for minutes in (-30, -1, 30, 59, 61, 90):
            night.moment = change + timedelta(minutes=minutes)
            night.open_ticket()
            night.moment += timedelta(seconds=30)
            reached.append(night.typist.send().watermark_after)
        back = [(one - change) // timedelta(minutes=1) for one in reached if one]
        assert back == [-30, -1, -1, -1, 61, 90]

    @ONE_KIND
    def test_time_that_the_clocks_left_out_is_sent_like_any_other(self, night: Night) -> None:
        night.moment = datetime.fromisoformat("2026-03-08T08:40:00+00:00")
        night.open_ticket()
        # by a server that was told of no summer time
        night.typist.systems.helpdesk.execute(
            "UPDATE tickets_replies SET timestamp = '2026-03-08 02:40:00'"
        )
        night.moment += timedelta(minutes=5)
        assert night.typist.send().created == 1
        night.moment += timedelta(minutes=5)
        night.type(0)
        night.moment += timedelta(minutes=5)
        night.upload_what_is_through()
        night.typist.send()
        assert_all_there_once(night, is_in_order=True)
