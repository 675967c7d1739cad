"""The tables of the file behind the sandbox's TOGA 2.

Built for a million records and for speed. A record's own fields are one JSON text (``own``), written
once and handed out as it is; what a list is filtered or ordered by lies beside it in columns:

* ``records`` has one row per record; its references to others are a JSON fragment of their own
  (``refs``: ``"contact":{"uuid":"…"},"unit":null``), so that a page at ``depth=1`` is an index range
  read and string joining, and a deeper one needs to parse the references only;
* ``lookups`` answers equality filters on custom fields, references and the fields marked ``indexed``;
* ``contents`` holds the bytes of files.
"""

from typing import Final

TABLES: Final = """
CREATE TABLE IF NOT EXISTS scopes (
    id INTEGER PRIMARY KEY, client TEXT NOT NULL, route TEXT NOT NULL, UNIQUE (client, route)
);
CREATE TABLE IF NOT EXISTS records (
    id INTEGER PRIMARY KEY, scope INTEGER NOT NULL, uuid TEXT NOT NULL, created TEXT NOT NULL,
    updated TEXT NOT NULL, parent TEXT, raw INTEGER NOT NULL DEFAULT 0, own TEXT NOT NULL,
    refs TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX IF NOT EXISTS records_uuid ON records (scope, uuid);
CREATE INDEX IF NOT EXISTS records_updated ON records (scope, updated, uuid);
CREATE INDEX IF NOT EXISTS records_parent ON records (scope, parent, created, uuid)
    WHERE parent IS NOT NULL;
CREATE TABLE IF NOT EXISTS lookups (
    scope INTEGER NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL, record INTEGER NOT NULL,
    PRIMARY KEY (scope, field, value, record)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS contents (record INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
"""
