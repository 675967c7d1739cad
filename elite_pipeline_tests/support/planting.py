"""A pair of sides that agree, to plant differences in: a few records of every kind, on both.

They are old: newest is a record of each kind that nothing is planted in, so that nothing else lies in
the overlap of a watermark, where the next run would put it right.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elite_pipeline.togadesk import tables
from elite_pipeline_tests.support.note_files import attach
from elite_pipeline_tests.support.snapshots import Snapshot
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk, at
from elite_pipeline_tests.support.typing import Typist

TABLES = (
    "people", "assets", "groups", "tickets_pr", "tickets_customfields", "tickets",
    "tickets_replies", "comments", "files",
)  # fmt: skip
#: When the last records were made, in minutes.
LAST = 500
#: A uuid that nothing has.
NOBODY = "00000000-0000-4000-8000-00000000dead"


@dataclass
class Pair:
    """Both sides of elite, in step.

    Attributes:
        uuids: What TOGA 2 calls its records, by what they are.
        ids: Rows of the helpdesk that people made, by what they are.
    """

    systems: Systems
    folder: Path
    uuids: dict[str, str] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.desk, self.typist = Desk(self.systems), Typist(self.systems, minute=30)
        self.systems.toga2_store.clock = self.typist.now
        # what is changed at a note shows at the note alone
        self.systems.toga2.settings.notes_touch_ticket = False
        self._make_old()
        self.settle()
        self.typist.minute = LAST
        self._make_new()
        self.settle()
        self._snapshot = Snapshot(self.systems, self.folder, TABLES)
        self._snapshot.take_down()

    def _make_old(self) -> None:
        desk, typist, u, i = self.desk, self.typist, self.uuids, self.ids
        u["ada"] = desk.contact("ada@example.com")
        u["bob"] = desk.contact("bob@example.com", first="Bob")
        self.systems.sync("contacts")
        u["unit"] = self.make("units", {"name": "Printer", "tag": "T1", "serialNumber": "S1"})
        u["team"] = self.make("ticket-teams", {"name": "Walk-in"})
        u["hardware"] = self.make("ticket-categories", {"name": "Hardware"})
        u["canned"] = self.make("predefined-replies", {"name": "Thanks", "content": "<b>Bye</b>"})
        named = {
            "contact": "ada",
            "unit": "unit",
            "ticketTeam": "team",
            "ticketCategory": "hardware",
        }
        relations = {key: {"uuid": u[name]} for key, name in named.items()}
        u["ticket"] = desk.ticket("Printer", 1, **relations)
        by_ada = {"authorName": "Ada Lovelace", "authorEmail": "ada@example.com"}
        u["external"] = desk.note(u["ticket"], "<p>Seen</p>", 2, **by_ada)
        u["internal"] = desk.note(u["ticket"], "<p>Psst</p>", 3, isExternal=False, **by_ada)
        u["file"] = attach(desk, u["external"], "plan.png", b"plan", minute=2)
        u["secret"] = attach(desk, u["internal"], "salary.png", b"salary", minute=3)
        ada = self.row("people", "ada")
        i["ticket"], i["description"] = typist.ticket("Scanner")
        i["reply"] = typist.reply(i["ticket"], "<p>Mine</p>", author=ada)
        i["comment"] = typist.comment(i["ticket"], "<p>Ours</p>")
        i["upload"] = typist.upload(i["reply"], "hum.txt", b"hum")
        typist.upload(i["description"], "scan.txt", b"scan")

    def _make_new(self) -> None:
        self.desk.change("contacts", self.desk.contact("zoe@example.com"), LAST, title="Dr.")
        self.make("units", {"name": "Last", "tag": "T9"}, LAST)
        self.make("ticket-teams", {"name": "Last"}, LAST)
        self.make("predefined-replies", {"name": "Last", "content": ""}, LAST)
        self.make("ticket-categories", {"name": "Last"}, LAST)
        self.desk.ticket("Last", LAST)
        self.typist.ticket("Last here")

    def settle(self) -> None:
        """Run everything until it is quiet."""
        for _ in range(2):
            self.systems.sync_all()

    def put_back(self) -> None:
        """Take out what was planted."""
        self._snapshot.put_back()

    # TOGA 2

    def make(self, route: str, body: dict[str, Any], minute: float = 0) -> str:
        """Make a record, made and updated at a minute."""
        made = self.systems.toga2_store.create("elite", route, body, created=at(minute))
        return str(made["uuid"])

    def quietly(self, route: str, name: str, **fields: Any) -> None:
        """Change a record in a way that no watermark shows: nothing would carry it."""
        self.desk.change(route, self.uuids[name], 3, **fields)

    def sent_as(self, key: str) -> str:
        """Return the note that a row was sent as."""
        notes = self.systems.toga2_store.all("elite", self.desk.notes_route)
        return str(next(note["uuid"] for note in notes if note.get("c_eliteConversationId") == key))

    # The helpdesk

    def sql(self, statement: str, *values: object) -> None:
        """Write with plain SQL."""
        self.systems.helpdesk.execute(statement, *values)

    def row(self, table: str, name: str) -> int:
        """Return the row of a record, by its reference."""
        query = f"SELECT id FROM `{table}` WHERE referenceId = '{self.uuids[name]}'"
        return int(self.systems.helpdesk.rows(query)[0][0])

    def set(self, table: str, id_: int, **values: object) -> None:
        """Change a row."""
        for column, value in values.items():
            self.sql(f"UPDATE `{table}` SET {column} = :a WHERE id = :b", value, id_)

    def remove(self, table: str, id_: int) -> None:
        """Take a row away."""
        self.sql(f"DELETE FROM `{table}` WHERE id = :a", id_)

    def double(self, table: str, id_: int, **other: object) -> int:
        """Have a row twice; return the id of the second one, which may differ in some columns."""
        names = [column.name for column in tables.table(table).c if column.name != "id"]
        quoted = ", ".join(f"`{name}`" for name in names)
        taken = ", ".join(f"'{other[name]}'" if name in other else f"`{name}`" for name in names)
        self.sql(f"INSERT INTO `{table}` ({quoted}) SELECT {taken} FROM `{table}` WHERE id = {id_}")
        return int(self.systems.helpdesk.rows(f"SELECT max(id) FROM `{table}`")[0][0])

    def typed_long_ago(self, table: str, **row: object) -> int:
        """Insert a reply or a comment that no run has ever looked at."""
        return self.typist.insert(table, timestamp=at(20).replace(tzinfo=None), **row)

    def file(self, name: str) -> tuple[int, Path]:
        """Return a file's row, and where its bytes are."""
        rows = self.systems.helpdesk.rows("SELECT id, file FROM files")
        id_, stored = next(row for row in rows if str(row[1]).endswith(name))
        return id_, self.systems.uploads_dir / stored
