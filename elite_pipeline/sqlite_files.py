"""Looking into a SQLite file without making it, and without changing how it is kept."""

from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa


def file_of(url: sa.URL) -> Path | None:
    """Return the file that an address names; None: it is no SQLite file."""
    name = url.database or ""
    if url.get_backend_name() != "sqlite" or name in {"", ":memory:"} or name.startswith("file:"):
        return None
    return Path(name).absolute()


def open_existing(path: Path, *, timeout_seconds: int) -> sa.Engine:
    """Return an engine for a file; using it fails where there is none.

    Args:
        path: The file.
        timeout_seconds: How long to wait for whoever writes to it.
    """
    return sa.create_engine(
        f"sqlite:///file:{quote(str(path))}?mode=rw&uri=true",
        connect_args={"timeout": timeout_seconds},
        hide_parameters=True,
    )


def check_writable(connection: sa.Connection) -> None:
    """Find out whether the file may be written to, and write nothing.

    Raises:
        sqlalchemy.exc.DBAPIError: It may not, or another process holds it for too long.
    """
    connection.rollback()
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    connection.rollback()
