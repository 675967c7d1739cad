"""What is written is what is read, whatever the column's charset and the server's mode."""

from functools import partial

import pymysql
import pytest
import sqlalchemy as sa

from elite_pipeline.togadesk import TextLimits, Tx, ValueDoesNotFitError, engine
from elite_pipeline_tests.support.helpdesks import ALL_PARAMS, Helpdesk, Opener

LEGACY = pytest.mark.parametrize("helpdesk", ALL_PARAMS[1:3], indirect=True)

TEXTS = [
    "plain",
    "Zoë Müller-Łukasz čšž",
    "emoji \N{GRINNING FACE}\N{FAMILY} 👩‍👩‍👧 end",
    "שלום ومرحبا \u200f\u202b right to left",
    "漢字かな",
    "€ ™ \x81 \x8d \x80 \x9f",
    "line\r\nline\rline\n",
    "  blanks before and after   ",
    "nul \x00 backspace \x08 substitute \x1a",
    "quotes ' \" \\ \\' % %s %(a)s :a ? ` ;--",
    "&amp; &#128512; <b>html</b>",
    "\ufeff\ufffe\uffff\U0010ffff",
    "",
]

#: A varchar and a TEXT column of every charset there is.
COLUMNS = [
    ("people", "name"),
    ("people", "notes"),
    ("tickets_pr", "name"),
    ("tickets_pr", "content"),
]


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_fitted_text_is_read_back_as_it_was_written(
    helpdesk: Helpdesk, table: str, column: str
) -> None:
    unique = "email" if table == "people" else "referenceId"
    with helpdesk.store() as store:
        texts = [store.fit(table, column, text) for text in TEXTS]
        rows = [{unique: f"u{number}", column: text} for number, text in enumerate(texts)]
        store.run(lambda tx: tx.insert(table, rows))
        inserted = store.run(lambda tx: tx.select(table, ["id", column]))
        assert [row[column] for row in inserted] == texts

        turned = list(reversed(texts))
        changes = [{"id": row.id, column: text} for row, text in zip(inserted, turned, strict=True)]
        store.run(lambda tx: tx.update(table, changes))
        updated = store.run(lambda tx: tx.select(table, [column]))
        assert [row[column] for row in updated] == turned
        # the same by id: rows of short texts come as one document then
        ids = [row.id for row in inserted]
        picked = store.run(lambda tx: tx.select(table, ["id", column], in_=("id", ids)))
        assert [row[column] for row in picked] == turned


def test_every_character_of_a_short_text_is_read_back(helpdesk: Helpdesk) -> None:
    points = [*range(0xD800), *range(0xE000, 0x10000), *range(0x1F600, 0x1F650), 0x10FFFF]
    every = "".join(map(chr, points))
    rows = [
        {"referenceId": f"r{start}", "subject": every[start : start + 40]}
        for start in range(0, len(every), 40)
    ]
    with helpdesk.store() as store:
        texts = [store.fit("tickets", "subject", str(row["subject"])) for row in rows]
        fitted = [{**row, "subject": text} for row, text in zip(rows, texts, strict=True)]
        store.run(lambda tx: tx.insert("tickets", fitted))
        ids = range(1, len(rows) + 1)
        columns = ["id", "clientid", "referenceId", "subject"]
        found = store.run(lambda tx: tx.select("tickets", columns, in_=("id", ids)))
    assert [row.subject for row in found] == texts
    assert [row.referenceId for row in found] == [row["referenceId"] for row in rows]


@pytest.mark.server
def test_a_document_that_the_server_cuts_is_read_row_by_row(
    open_helpdesk: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "DOCUMENT_BYTES", 1_024)
    helpdesk = open_helpdesk("mariadb-legacy-strict")
    people = [{"email": f"u{number}", "name": "x" * 100} for number in range(50)]
    with helpdesk.store() as store:
        store.run(lambda tx: tx.insert("people", people))

        def read(most: int) -> tuple[int, list[str]]:
            before = store.statements.reads
            wanted = ("id", range(1, most + 1))
            rows = store.run(lambda tx: tx.select("people", ["id", "email", "name"], in_=wanted))
            return store.statements.reads - before, [row.email for row in rows]

        assert read(5) == (1, [f"u{number}" for number in range(5)])
        assert read(50) == (2, [f"u{number}" for number in range(50)])


def test_limits_are_those_of_the_server(helpdesk: Helpdesk) -> None:
    charset = "utf8mb3" if helpdesk.shape == "legacy" else "utf8mb4"
    latin = "latin1" if helpdesk.shape == "legacy" else charset
    with helpdesk.store() as store:
        assert store.limits("people", "name") == TextLimits(charset, 128, None)
        assert store.limits("tickets", "subject") == TextLimits(charset, 500, None)
        assert store.limits("people", "notes") == TextLimits(charset, None, 65_535)
        assert store.limits("tickets_pr", "name") == TextLimits(latin, 255, None)
        assert store.limits("tickets_pr", "content") == TextLimits(latin, None, 65_535)
        options = store.limits("tickets_customfields", "options")
        assert options.max_chars is None
        assert (options.max_bytes or 0) > 5_000_000
        reads = store.statements.reads
        store.fit("people", "name", "x")
        assert store.statements.reads == reads == 1
        with pytest.raises(KeyError, match="not a text column"):
            store.limits("people", "roleid")


@pytest.mark.parametrize(
    ("table", "column", "piece"),
    [
        ("people", "name", "é"),
        ("people", "notes", "é"),
        ("people", "notes", "漢"),
        ("people", "notes", "'"),
        ("tickets_pr", "name", "é"),
        ("tickets_pr", "content", "é"),
        ("tickets_pr", "content", "\\"),
    ],
)
def test_the_longest_text_fits_and_one_more_does_not(
    helpdesk: Helpdesk, table: str, column: str, piece: str
) -> None:
    unique = "email" if table == "people" else "referenceId"
    with helpdesk.store() as store:
        limits = store.limits(table, column)
        width = 1 if limits.charset == "latin1" else len(piece.encode())
        count = limits.max_chars or (limits.max_bytes or 0) // width
        longest = store.fit(table, column, piece * count)
        with pytest.raises(ValueDoesNotFitError, match=rf"{table}\.{column}"):
            store.fit(table, column, piece * (count + 1))

        def work(tx: Tx) -> None:
            tx.insert(table, [{unique: f"u{n}", column: longest} for n in range(12)])
            tx.update(table, [{"id": n, column: longest} for n in range(1, 13)])

        store.run(work)
        rows = store.run(lambda tx: tx.select(table, [column]))
    assert [row[column] == longest for row in rows] == [True] * 12


def test_a_text_of_megabytes_is_sent_whole(helpdesk: Helpdesk) -> None:
    long = "Hardware / Läptop, " * 250_000
    with helpdesk.store() as store:
        text = store.fit("tickets_customfields", "options", long)
        store.run(lambda tx: tx.insert("tickets_customfields", [{"name": "c", "options": text}]))
        store.run(lambda tx: tx.update("tickets_customfields", [{"id": 1, "options": text + "!"}]))
        (row,) = store.run(lambda tx: tx.select("tickets_customfields", ["options"]))
    assert row.options == long + "!"


@LEGACY
def test_what_latin1_holds_is_what_the_server_says(helpdesk: Helpdesk) -> None:
    known = {bytes([n]).decode("cp1252", "replace") for n in range(256)}
    characters = sorted({*map(chr, range(0x180)), *known, "č", "漢", "\u0153", "\u2028"})
    with helpdesk.store() as store, helpdesk.engine.connect() as connection:
        for character in characters:
            stored = connection.execute(
                sa.text("SELECT CONVERT(CONVERT(:c USING latin1) USING utf8mb4)"), {"c": character}
            ).scalar()
            fits = store.fit("tickets_pr", "content", character) == character
            assert fits == (stored == character), f"U+{ord(character):04X}"


@pytest.mark.server
def test_the_lax_server_would_cut_and_our_sessions_do_not(open_helpdesk: Opener) -> None:
    helpdesk = open_helpdesk("mariadb-legacy-lax")
    url = helpdesk.engine.url
    plain = pymysql.connect(
        host=url.host or "", port=url.port or 0, user="root", database=url.database or ""
    )
    with plain, plain.cursor() as cursor:
        cursor.execute("INSERT INTO models (name) VALUES ('cut \N{GRINNING FACE} here')")
        plain.commit()
    assert helpdesk.rows("SELECT name FROM models") != [("cut \N{GRINNING FACE} here",)]
    ((mode, zone),) = helpdesk.rows("SELECT @@SESSION.sql_mode, @@SESSION.time_zone")
    assert set(mode.split(",")) == {"STRICT_ALL_TABLES", "NO_ENGINE_SUBSTITUTION"}
    assert zone == "+00:00"


@pytest.mark.server
def test_statements_keep_to_the_servers_packet_size(open_helpdesk: Opener) -> None:
    helpdesk = open_helpdesk("mariadb-legacy-lax")
    assert helpdesk.server is not None
    ((usual,),) = helpdesk.server.execute("SELECT @@GLOBAL.max_allowed_packet")
    # The smallest default that any supported server had.
    helpdesk.server.execute("SET GLOBAL max_allowed_packet = 1048576")
    try:
        helpdesk.engine.dispose()
        with helpdesk.store() as store:
            longest = store.fit("people", "notes", "'" * 65_535)
            rows = [{"email": f"u{number}", "notes": longest} for number in range(40)]
            store.run(partial(Tx.insert, table="people", rows=rows))
            assert 5 <= store.statements.writes <= 8
            options = store.limits("tickets_customfields", "options")
            with pytest.raises(ValueDoesNotFitError, match="options takes 500000 bytes"):
                store.fit("tickets_customfields", "options", "x" * 500_000)
            text = store.fit("tickets_customfields", "options", "'" * (options.max_bytes or 0))
            row = {"name": "c", "options": text}
            store.run(lambda tx: tx.insert("tickets_customfields", [row]))
        assert helpdesk.rows("SELECT COUNT(*), MIN(LENGTH(notes)) FROM people") == [(40, 65_535)]
        assert helpdesk.rows("SELECT LENGTH(options) FROM tickets_customfields") == [(len(text),)]
    finally:
        helpdesk.server.execute(f"SET GLOBAL max_allowed_packet = {usual}")
