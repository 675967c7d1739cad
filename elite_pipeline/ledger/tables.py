"""The pipeline's own tables, in ``PIPELINE_DATABASE_URL``.

They are memory, not truth: the truth about what has been synced lies in the data of the systems
(``design.md``, wall 6). After they were lost, one full run makes good what they knew of: it meets again
what failed, and what waited.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

metadata = sa.MetaData()

_UUID = sa.String(64)
_CLIENT = sa.String(64)
_FLOW = sa.String(64)

#: The longest target that a record can wait for; longer ones are in no column of the helpdesk.
MOST_TARGET_CHARS = 191

#: Compared byte by byte: two e-mail addresses that differ in an accent are two.
_OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}

#: Versions of records, near the watermark, that are known to be written: what reading the overlap
#: brings again is recognised here and not fetched again. ``updated`` is TOGA 2's spelling, UTC.
seen = sa.Table(
    "sync_seen",
    metadata,
    sa.Column("client", _CLIENT, primary_key=True),
    sa.Column("flow", _FLOW, primary_key=True),
    sa.Column("uuid", _UUID, primary_key=True),
    sa.Column("updated", sa.String(19), nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    **_OPTIONS,
)

#: The stored watermark that a flow's memory belongs to, in TOGA 2's spelling. A stored watermark that
#: is earlier was set back by a person, who wants everything behind it written again.
memory = sa.Table(
    "sync_memory",
    metadata,
    sa.Column("client", _CLIENT, primary_key=True),
    sa.Column("flow", _FLOW, primary_key=True),
    sa.Column("watermark", sa.String(19), nullable=False),
    **_OPTIONS,
)

#: Records that were written with an empty reference because what they refer to was not there yet.
#: ``kind`` says where to look for ``target``.
waiting = sa.Table(
    "sync_waiting",
    metadata,
    sa.Column("client", _CLIENT, primary_key=True),
    sa.Column("flow", _FLOW, primary_key=True),
    sa.Column("uuid", _UUID, primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("target", sa.String(MOST_TARGET_CHARS), primary_key=True),
    **_OPTIONS,
)

#: What each category was called when it was last written, so that a renamed one can be told from one
#: that vanished.
category_paths = sa.Table(
    "sync_category_paths",
    metadata,
    sa.Column("client", _CLIENT, primary_key=True),
    sa.Column("uuid", _UUID, primary_key=True),
    sa.Column("path", sa.Text, nullable=False),
    **_OPTIONS,
)

#: The longest name of an entity or of a record: with the client and the flow they are a key, and MySQL
#: allows so many characters of four bytes in a column of an index.
MOST_NAME_CHARS = 191

#: What failed (``spec/sync.md`` section 8). Times are UTC. ``next_attempt``: NULL is parked, it waits for
#: a person. ``updated``: the record's own time, as its source gave it.
dead_letters = sa.Table(
    "sync_dead_letters",
    metadata,
    sa.Column("client", _CLIENT, primary_key=True),
    sa.Column("flow", _FLOW, primary_key=True),
    sa.Column("entity", sa.String(MOST_NAME_CHARS), primary_key=True),
    sa.Column("record", sa.String(MOST_NAME_CHARS), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("first_failed", sa.DateTime, nullable=False),
    sa.Column("last_failed", sa.DateTime, nullable=False),
    sa.Column("next_attempt", sa.DateTime),
    sa.Column("updated", sa.DateTime),
    **_OPTIONS,
)

#: What each flow of each client last did, for people and for the checks: no run goes by it. Times are
#: UTC. What the columns mean: ``flow_states.FlowState``.
flow_states = sa.Table(
    "sync_flow_states",
    metadata,
    sa.Column("client", _CLIENT, primary_key=True),
    sa.Column("flow", _FLOW, primary_key=True),
    sa.Column("last_run", sa.DateTime),
    sa.Column("last_failed", sa.DateTime),
    sa.Column("last_error", sa.Text),
    sa.Column("last_quiet", sa.DateTime),
    sa.Column("busy_since", sa.DateTime),
    sa.Column("busy_runs", sa.Integer, nullable=False),
    sa.Column("watermark", sa.DateTime),
    sa.Column("nothing_new_at", sa.DateTime),
    sa.Column("created", sa.Integer, nullable=False),
    sa.Column("updated", sa.Integer, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    sa.Column("waiting", sa.Integer, nullable=False),
    sa.Column("parked", sa.Integer, nullable=False),
    sa.Column("oldest_letter", sa.DateTime),
    sa.Column("calls", sa.Integer, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("log_lost", sa.Integer, nullable=False),
    sa.Column("log_lost_at", sa.DateTime),
    sa.Column("run_id", _UUID),
    **_OPTIONS,
)

#: Files whose upload into TOGA 2 has begun: one that was cut off is looked for before it is sent again.
uploads = sa.Table(
    "sync_uploads",
    metadata,
    sa.Column("client", _CLIENT, primary_key=True),
    sa.Column("file_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("toga2_uuid", _UUID, nullable=True),
    **_OPTIONS,
)

#: What was last carried of something that another system says: a small JSON document. What that system
#: has not changed since is left alone on the other side, whoever has changed it there.
carried = sa.Table(
    "sync_carried",
    metadata,
    sa.Column("client", _CLIENT, primary_key=True),
    sa.Column("flow", _FLOW, primary_key=True),
    sa.Column("entity", sa.String(MOST_NAME_CHARS), primary_key=True),
    sa.Column(
        "state",
        sa.Text().with_variant(mysql.MEDIUMTEXT, "mysql", "mariadb"),
        nullable=False,
    ),
    **_OPTIONS,
)

#: Who is at a flow, for the message that names him: a lock keeps runs apart, and knows no names.
#: ``since`` is UTC. A row goes with its run; that of a run which may have left calls under way stays.
holders = sa.Table(
    "sync_holders",
    metadata,
    sa.Column("client", _CLIENT, primary_key=True),
    sa.Column("flow", _FLOW, primary_key=True),
    sa.Column("holder", sa.String(MOST_NAME_CHARS), nullable=False),
    sa.Column("since", sa.DateTime, nullable=False),
    **_OPTIONS,
)

#: Accounts of others whose calls are counted there (``rate_budget``). Its row is the account's lock.
#: Times are microseconds since 1970. ``closed_until``: nobody may call before. ``total``: how many calls
#: the account itself says that it allows, as of the last answer.
rate_accounts = sa.Table(
    "sync_rate_accounts",
    metadata,
    sa.Column("account", sa.String(MOST_NAME_CHARS), primary_key=True),
    sa.Column("closed_until", sa.BigInteger),
    sa.Column("total", sa.Integer),
    **_OPTIONS,
)

#: Calls that count, and those that wait for their turn, in its order. ``until``: a call counts, or one
#: that waits is taken to be alive, until then.
rate_slots = sa.Table(
    "sync_rate_slots",
    metadata,
    sa.Column(
        "id",
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    sa.Column("account", sa.String(MOST_NAME_CHARS), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("is_waiting", sa.Boolean(create_constraint=False), nullable=False),
    sa.Column("weight", sa.Integer, nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
    sa.Index("sync_rate_slots_until", "account", "until"),
    # an id that was used must not come again: its holder may still speak of it
    sqlite_autoincrement=True,
    **_OPTIONS,
)
