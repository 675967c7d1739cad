"""Both sides as they were: taken down once, and put back as often as a test likes."""

import shutil
import sqlite3
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from elite_pipeline_tests.support.systems import Systems

_RECORDS = ("records", "lookups", "contents")


@dataclass(frozen=True)
class Snapshot:
    """What TOGA 2, tables of the helpdesk, its folder and the ledger held.

    Attributes:
        folder: Where it is kept.
        tables: Those of the helpdesk.
    """

    systems: Systems
    folder: Path
    tables: tuple[str, ...]

    def take_down(self) -> None:
        """Keep what there is now."""
        systems = self.systems
        for name in self.tables:
            systems.helpdesk.execute(
                f"CREATE TABLE earlier_{name} AS SELECT * FROM {_quoted(name)}"
            )
        shutil.copytree(systems.uploads_dir, self.folder / "uploads before")
        shutil.copyfile(self._ledger, self.folder / "ledger before")
        with sqlite3.connect(systems.toga2_store.path) as connection:
            connection.execute("VACUUM INTO ?", (str(self.folder / "toga2 before"),))
        connection.close()

    @property
    def _ledger(self) -> Path:
        return Path(self.systems.ledger_url.removeprefix("sqlite:///"))

    def put_back(self) -> None:
        """Put everything back to what was taken down."""
        systems = self.systems
        with systems.helpdesk.engine.begin() as connection:
            for name in self.tables:
                connection.exec_driver_sql(f"DELETE FROM {_quoted(name)}")
                connection.exec_driver_sql(
                    f"INSERT INTO {_quoted(name)} SELECT * FROM earlier_{name}"
                )
        shutil.rmtree(systems.uploads_dir)
        shutil.copytree(self.folder / "uploads before", systems.uploads_dir)
        for leftover in self._ledger.parent.glob(f"{self._ledger.name}-*"):
            leftover.unlink()
        shutil.copyfile(self.folder / "ledger before", self._ledger)
        connection_ = sqlite3.connect(systems.toga2_store.path, isolation_level=None)
        connection_.execute("ATTACH ? AS earlier", (str(self.folder / "toga2 before"),))
        connection_.execute("BEGIN IMMEDIATE")
        for name in _RECORDS:
            connection_.execute(f"DELETE FROM main.{name}")
            connection_.execute(f"INSERT INTO main.{name} SELECT * FROM earlier.{name}")
        connection_.execute("COMMIT")
        connection_.close()
        systems.toga2.faults.clear()
        systems.toga2.reset_stats()
        systems.later = timedelta()


def _quoted(table: str) -> str:
    return f"`{table}`"
