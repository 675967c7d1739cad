"""The second belts of a dry run: what is refused should a twin ever let a write through."""

import io
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from elite_pipeline.errors import PermanentError, PipelineError, TransientError
from elite_pipeline.inbox import Inbox
from elite_pipeline.inbox.planned import PlannedInbox
from elite_pipeline.ledger import Failed, Ledger, SeenVersion
from elite_pipeline.ledger.planned import OnlyReading, PlannedLedger
from elite_pipeline.ledger.tables import dead_letters
from elite_pipeline.only_reading import only_reading
from elite_pipeline.planning import Planner
from elite_pipeline.sync.context import FlowContext, Options
from elite_pipeline.sync.dry_run import rehearse
from elite_pipeline.sync.results import FlowResult
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.togadesk import DuplicateKeyError, Tx, Uploads
from elite_pipeline.togadesk.planned import PlannedStore
from elite_pipeline.togadesk.planned_uploads import PlannedUploads
from elite_pipeline_tests.support.dry_runs import everything
from elite_pipeline_tests.support.helpdesks import ALL_PARAMS, Helpdesk, Opener
from elite_pipeline_tests.support.ledgers import LEDGER_PARAMS, empty_database
from elite_pipeline_tests.support.reference_data import add_contact, by_hand
from elite_pipeline_tests.support.systems import Systems, demo_client, toga2_client

#: What holds for MyISAM holds for the rest.
TWO_KINDS = pytest.mark.parametrize("helpdesk", [ALL_PARAMS[0], ALL_PARAMS[1]], indirect=True)
ONE_KIND = pytest.mark.parametrize("helpdesk", [ALL_PARAMS[0]], indirect=True)


@pytest.fixture
def planner() -> Planner:
    return Planner(str)


@pytest.fixture
def store(helpdesk: Helpdesk, planner: Planner) -> Iterator[PlannedStore]:
    with helpdesk.store() as real, PlannedStore(real, planner) as store:
        yield store


@TWO_KINDS
class TestHelpdesk:
    def test_server_refuses_to_write_also_without_transactions(self, helpdesk: Helpdesk) -> None:
        statement = "INSERT INTO models (name) VALUES ('X')"
        with (
            pytest.raises(sa.exc.DBAPIError, match=r"(?i)read.?only"),
            helpdesk.engine.connect() as connection,
            connection.begin(),
            only_reading(connection),
        ):
            connection.exec_driver_sql(statement)
        assert helpdesk.rows("SELECT id FROM models") == []
        # and the connection is as it was for whoever gets it next
        helpdesk.execute(statement)
        assert len(helpdesk.rows("SELECT id FROM models")) == 1

    def test_statement_that_writes_is_refused(self, store: PlannedStore) -> None:
        def write(tx: Tx) -> None:
            Tx.insert(tx, "models", [{"name": "X"}])

        def delete(tx: Tx) -> None:
            Tx.delete(tx, "models", [1])

        for work in (write, delete):
            with pytest.raises(AssertionError, match="must not write"):
                store.run(work)

    def test_what_was_written_is_read_again_and_is_nowhere_else(
        self, store: PlannedStore, systems: Systems, planner: Planner
    ) -> None:
        old = by_hand(systems, "people", name="Old", email="old@example.com", title="Dr")
        before = everything(systems)

        def work(tx: Tx) -> dict[str, int]:
            tx.update("people", [{"id": old, "name": "Changed"}, {"id": 77, "name": "Nobody"}])
            rows = [{"referenceId": "U-1", "name": "New", "email": "new@example.com"}]
            return tx.insert_referenced("people", rows)

        made = store.run(work)
        assert list(made) == ["U-1"]
        columns = ["id", "name", "email", "title", "clientid"]
        found = store.run(
            lambda tx: tx.select(
                "people", columns, in_=("email", ["OLD@example.com", "new@example.com"])
            )
        )
        assert [tuple(row.values()) for row in found] == [
            (old, "Changed", "old@example.com", "Dr", 1),
            (made["U-1"], "New", "new@example.com", "", 1),
        ]
        assert (
            store.run(lambda tx: tx.select_by_reference("people", ["id"], ["u-1"]))["u-1"].id
            == made["U-1"]
        )
        assert store.run(lambda tx: tx.highest_id("people")) == made["U-1"]
        assert store.run(lambda tx: tx.references("people", 0, made["U-1"], 10)) == [
            (made["U-1"], "U-1")
        ]
        store.run(lambda tx: tx.delete("people", [old, made["U-1"], 78]))
        assert store.run(lambda tx: tx.select("people", ["id"])) == []
        assert everything(systems) == before
        assert {kind.action: number for kind, number in planner.plan().counts.items()} == {
            "change": 1,
            "delete": 1,
        }

    def test_transaction_that_fails_has_planned_nothing(
        self, store: PlannedStore, planner: Planner
    ) -> None:
        def fail(tx: Tx) -> None:
            tx.insert("models", [{"name": "X"}])
            raise PermanentError("no")

        with pytest.raises(PermanentError, match="no"):
            store.run(fail)
        assert store.run(lambda tx: tx.select("models", ["id"])) == []
        assert planner.plan().total == 0

    def test_key_that_is_taken_by_what_was_planned_is_refused_in_the_servers_words(
        self, store: PlannedStore
    ) -> None:
        def insert(tx: Tx) -> None:
            tx.insert("people", [{"name": "One", "email": "one@example.com"}])

        store.run(insert)
        with pytest.raises(DuplicateKeyError, match=r"people\.email"):
            store.run(insert)


@ONE_KIND
class TestToga2:
    @pytest.fixture
    def calls(self, systems: Systems, planner: Planner) -> Iterator[Toga2Client]:
        with closing(toga2_client(demo_client("elite"), systems.toga2.base_url)) as real:
            yield real.planning(planner)

    def test_transport_sends_nothing_but_get(self, calls: Toga2Client, systems: Systems) -> None:
        transport = calls._calls._transport
        for method in ("POST", "PATCH", "DELETE"):
            with pytest.raises(AssertionError, match=f"must not send {method}"):
                transport.request(
                    method, f"{systems.toga2.base_url}/contacts", parse=bytes,
                    read_error=wire.read_error, headers={}, auth=None, repeatable=False,
                )  # fmt: skip
        assert systems.toga2.requests == []

    def test_change_shows_what_is_there_now(
        self, calls: Toga2Client, systems: Systems, planner: Planner
    ) -> None:
        uuid = add_contact(systems, "ada@example.com")
        calls.update(wire.CONTACTS, uuid, {"title": "Countess", "email": "a@example.com"})
        calls.update(wire.CONTACTS, "00000000-0000-4000-8000-00000000dead", {"title": "x"})
        first, second = planner.plan().effects
        assert [(one.name, one.old, one.new) for one in first.fields] == [
            ("title", None, "Countess"),
            ("email", "ada@example.com", "a@example.com"),
        ]
        assert [(one.old, one.new) for one in second.fields] == [(None, "x")]

    def test_file_that_is_being_written_is_refused_as_ever(self, calls: Toga2Client) -> None:
        with pytest.raises(TransientError, match="changed while it was read"):
            calls.upload("a.txt", "text/plain", io.BytesIO(b"longer"), 3)


class TestUploads:
    def test_nothing_is_made_replaced_or_removed(self, tmp_path: Path, planner: Planner) -> None:
        (tmp_path / "1-old.txt").write_bytes(b"old")
        leftover = tmp_path / f".elite-pipeline-{'0' * 32}.part"
        leftover.write_bytes(b"half")
        uploads = PlannedUploads(Uploads(tmp_path, clock=lambda: 4e9), planner)

        assert uploads.write("2-new.txt", [b"ab", b"c"]) == 3
        assert uploads.write("1-old.txt", [b"newer"]) == 5
        assert (uploads.size("2-new.txt"), uploads.size("1-old.txt")) == (3, 5)
        uploads.remove("2-new.txt")
        uploads.remove("never there")
        assert uploads.size("2-new.txt") is None
        assert uploads.clean(1.0) == 1

        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
            "1-old.txt": b"old",
            leftover.name: b"half",
        }
        assert [effect.kind.action for effect in planner.plan().effects] == [
            "store",
            "store",
            "delete",
            "delete",
        ]

    @pytest.mark.parametrize("stored", ["../x", "", "a/b"])
    def test_name_that_is_none_is_refused_as_ever(
        self, tmp_path: Path, planner: Planner, stored: str
    ) -> None:
        with pytest.raises(PermanentError, match="a name that is none"):
            PlannedUploads(Uploads(tmp_path), planner).write(stored, [])

    def test_missing_folder_is_told_as_ever(self, tmp_path: Path, planner: Planner) -> None:
        with pytest.raises(PermanentError, match="cannot be opened"):
            PlannedUploads(Uploads(tmp_path / "none"), planner).write("1-a", [])


class TestPipelineDatabase:
    def test_first_day_makes_no_database(self, tmp_path: Path, planner: Planner) -> None:
        url = f"sqlite:///{tmp_path / 'none.sqlite'}"
        with (
            closing(Ledger(url, "elite")) as real,
            closing(PlannedLedger(real, "contacts", planner)) as ledger,
            closing(Inbox(url)) as inbox,
        ):
            assert ledger.known("contacts", ["x"]) == {}
            ledger.set_watermark("contacts", "2026-06-10 00:00:00")
            assert ledger.watermark("contacts") == "2026-06-10 00:00:00"
            twin = PlannedInbox(inbox, planner)
            assert twin.latest_id() == 0
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("kind", LEDGER_PARAMS)
    def test_copy_is_what_the_flow_goes_by_and_the_real_one_stays(
        self, kind: str, tmp_path: Path, open_helpdesk: Opener, planner: Planner
    ) -> None:
        now = datetime(2026, 6, 10, 8, tzinfo=UTC)
        failed = Failed("contacts", "c1", "c1", "permanent", "broken")
        version = SeenVersion("c1", "2026-06-10 08:00:00", "f")
        with closing(Ledger(empty_database(kind, tmp_path, open_helpdesk), "elite")) as real:
            real.dead_letters.record([failed], now)
            real.remember("contacts", [version])
            real.remember("units", [version])
            with closing(PlannedLedger(real, "contacts", planner)) as ledger:
                assert (ledger.known("contacts", ["c1"]), ledger.known("units", ["c1"])) == (
                    {"c1": "f"},
                    {},
                )
                ledger.dead_letters.record([failed, replace(failed, record="file")], now)
                ledger.dead_letters.resolve("contacts", ["c1"], [("c1", "file")])
                ledger.forget("contacts")
                assert ledger.dead_letters.counts().waiting == 1
            (letter,) = real.dead_letters.listed()
            assert (letter.record, letter.attempts) == ("c1", 1)
            assert real.known("contacts", ["c1"]) == {"c1": "f"}
            with (
                pytest.raises(PipelineError),
                OnlyReading(real._database).begin() as connection,
            ):
                connection.execute(sa.delete(dead_letters))
            assert real.dead_letters.counts().waiting == 1
        assert [(one.kind.action, one.record) for one in planner.plan().effects] == [
            ("change", "c1"),
            ("create", "file of c1"),
            ("delete", "c1"),
        ]

    @pytest.mark.parametrize(
        "write",
        [
            lambda inbox: inbox.add("Elite/Webhook", "{}", {}),
            lambda inbox: inbox.set_furthest(3),
            Inbox.check_storing,
        ],
    )
    def test_inbox_is_not_written_to(
        self, tmp_path: Path, planner: Planner, write: Callable[[Inbox], object]
    ) -> None:
        with closing(Inbox(f"sqlite:///{tmp_path / 'pipeline.sqlite'}")) as inbox:
            inbox.add("Elite/Webhook", "{}", {})
            with pytest.raises((AssertionError, PipelineError)):
                write(PlannedInbox(inbox, planner))
            assert inbox.latest_id() == 1


@ONE_KIND
def test_flow_is_given_nothing_that_writes(systems: Systems) -> None:
    """Whatever a flow of the future comes to use: what it gets in a dry run is a twin."""
    given: list[FlowContext] = []

    def look(context: FlowContext, _: Options) -> FlowResult:
        given.append(context)
        return FlowResult(client="elite", flow="contacts")

    with systems.open() as real:
        result = rehearse("contacts", look, real, Options(dry_run=True))
        (twin,) = given
        kept = {
            name
            for name in FlowContext.__dataclass_fields__
            if getattr(twin, name) is getattr(real, name)
        }
    # what a flow cannot write with
    assert kept == {
        *(
            "client",
            "progress",
            "began",
            "remarks",
            "log_lost",
            "run_id",
            "who",
            "clock",
            "now",
            "sleep",
        ),
    }
    assert result.plan is not None
    assert result.plan.total == 0
