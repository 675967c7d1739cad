"""``WorkerJobs``: one row for every webhook that was received (``spec/systems.md`` section 4).

Others insert rows too, and know no more than ``uuid``, ``dtStamp``, ``action``, ``payload``, ``headers``
and ``status``; so everything else may be NULL. Times are UTC.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

metadata = sa.MetaData()

_SERVERS = ("mysql", "mariadb")
#: SQLite numbers rows by itself in nothing but a plain INTEGER.
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *_SERVERS)
_PAYLOAD = sa.Text().with_variant(mysql.MEDIUMTEXT(), *_SERVERS)

PENDING = "PENDING"
DONE = "DONE"
FAILED = "FAILED"
DEAD = "DEAD"
STATUSES = (PENDING, DONE, FAILED, DEAD)

#: Bytes that fit into ``headers`` and ``error``; characters of ``action``.
TEXT_BYTES = 65_535
ACTION_CHARS = 128

_OPTIONS: dict[str, Any] = {
    # an id is never given twice, also after the newest rows were deleted: a cursor stands at one
    "sqlite_autoincrement": True,
    **{
        f"{dialect}_{option}": value
        for dialect in _SERVERS
        # compared byte by byte: actions that differ in case are two
        for option, value in (
            ("engine", "InnoDB"),
            ("charset", "utf8mb4"),
            ("collate", "utf8mb4_bin"),
        )
    },
}

#: How far the cursor has ever come: one that is behind it was moved back by a person. One row.
seen = sa.Table(
    "sync_inbox_seen",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("row_id", _ID, nullable=False),
    **_OPTIONS,
)

worker_jobs = sa.Table(
    "WorkerJobs",
    metadata,
    sa.Column("id", _ID, primary_key=True, autoincrement=True),
    sa.Column("uuid", sa.CHAR(36), nullable=False),
    sa.Column("dtStamp", _MOMENT, nullable=False),
    sa.Column("action", sa.String(ACTION_CHARS), nullable=False),
    sa.Column("payload", _PAYLOAD),
    sa.Column("headers", sa.Text),
    sa.Column("status", sa.String(16), nullable=False, server_default=PENDING),
    sa.Column("attempts", sa.Integer, server_default=sa.text("0")),
    sa.Column("dtRetryAfter", _MOMENT),
    sa.Column("error", sa.Text),
    sa.Column("dtFinished", _MOMENT),
    # what waits is found, counted and put in order by this alone, however much is done
    sa.Index("WorkerJobs_status", "status", "action", "id", "dtRetryAfter"),
    **_OPTIONS,
)
