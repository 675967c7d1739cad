"""Rows of ``files``: which belong to a message, and where those of an internal one are.

Follows ``spec/sync.md`` section 6. A reply has its files under its id. A comment cannot have files in the
helpdesk: an internal note's are kept with the client's own, under names that begin with the note's tag
(``wanted_files.private_tag``), and never under a reply, where the customer would see them.

What does not belong here: bytes (``incoming_files``).
"""

from collections.abc import Iterable, Mapping, Sequence

from elite_pipeline.sync.file_matching import Likeness, match
from elite_pipeline.sync.long_texts import is_full_text
from elite_pipeline.sync.ticket_outcomes import FileTarget, Pending
from elite_pipeline.sync.wanted_files import private_tag
from elite_pipeline.toga2.models import NoteFile
from elite_pipeline.togadesk import Row, TextLimits, Tx, file_names

TABLE = "files"
COLUMNS = ("id", "ticketreplyid", "name", "file", "filetype", "filesize")


def find_rows(tx: Tx, targets: Sequence[FileTarget]) -> dict[str, list[Row]]:
    """Return the rows of each target, by its note's uuid, in the order of their ids.

    Names are as people call the files, without the tag of an internal note.
    """
    found: dict[str, list[Row]] = {target.note: [] for target in targets}
    replies: dict[int, str] = {}
    tags: dict[str, str] = {}
    for target in targets:
        if target.reply_id is not None:
            replies[target.reply_id] = target.note
        if target.reply_id is None or target.was_private:
            tags[private_tag(target.note)] = target.note
    if replies:
        for row in tx.select(TABLE, list(COLUMNS), in_=("ticketreplyid", sorted(replies))):
            found[replies[row.ticketreplyid]].append(row)
    for row in tx.select_files_named(COLUMNS, sorted(tags)):
        tag = next(tag for tag in tags if row.name.lower().startswith(tag))
        row["name"] = row.name[len(tag) :]
        found[tags[tag]].append(row)
    return found


def count_files(tx: Tx, replies: Mapping[str, int | None]) -> dict[str, int]:
    """Return how many files of notes are wholly there.

    Args:
        tx: A transaction of the client.
        replies: Uuid of a note -> its reply; None: it is an internal comment.
    """
    targets = [FileTarget(note, reply, ()) for note, reply in replies.items()]
    return {
        note: sum(1 for row in rows if row.file and not is_full_text(row.name))
        for note, rows in find_rows(tx, targets).items()
    }


def hide_files(tx: Tx, client_id: int, replies: Mapping[int, str]) -> None:
    """Take the files of replies that are about to go with their notes into privacy.

    Args:
        tx: A transaction of the client.
        client_id: The helpdesk's id of it.
        replies: Id of a reply -> its note's uuid.
    """
    columns = ["id", "ticketreplyid", "name", "file"]
    rows = tx.select(TABLE, columns, in_=("ticketreplyid", sorted(replies)))
    _hide(tx, client_id, [(replies[row.ticketreplyid], row) for row in rows])


def hide_described_files(
    tx: Tx, client_id: int, notes: Mapping[int, tuple[str, Sequence[NoteFile] | None]]
) -> None:
    """Take the files of descriptions into privacy that hang on an internal note in TOGA 2.

    Args:
        tx: A transaction of the client.
        client_id: The helpdesk's id of it.
        notes: Id of a description's reply -> the note's uuid, and its files; None: nobody knows which,
            and all of the description's are taken for them.
    """
    targets = [FileTarget(note, reply, (), was_private=True) for reply, (note, _) in notes.items()]
    found = find_rows(tx, targets) if targets else {}
    limits = tx.limits(TABLE, "name")
    hidden: list[tuple[str, Row]] = []
    for note, files in notes.values():
        # what was hidden before stands for its file, and not what came under the description since
        rows = sorted(
            (row for row in found[note] if not is_full_text(row.name)),
            key=lambda row: row.ticketreplyid != 0,
        )
        if files is not None:
            there = [
                Likeness(tagged_name(note, _real_name(row), limits), row.filesize or None)
                for row in rows
            ]
            wanted = [
                Likeness(tagged_name(note, link.file.name, limits), link.file.size)
                for link in files
            ]
            rows = [rows[at] for at in match(wanted, there) if at is not None]
        hidden += [(note, row) for row in rows if row.ticketreplyid]
    _hide(tx, client_id, hidden)


def _hide(tx: Tx, client_id: int, hidden: Iterable[tuple[str, Row]]) -> None:
    limits = tx.limits(TABLE, "name")
    tx.update(
        TABLE,
        [
            {
                "id": row.id,
                "clientid": client_id,
                "ticketreplyid": 0,
                "name": tagged_name(note, _real_name(row), limits),
            }
            for note, row in hidden
        ],
    )


def _real_name(row: Row) -> str:
    return file_names.real_name(row.id, row.name, row.file)


def drop_full_texts(tx: Tx, targets: Sequence[FileTarget]) -> dict[str, list[str]]:
    """Remove the rows of files with all of a text, of messages that have another text by now.

    They are the sync's own. Called before the message says so: cut off in between, the next run still
    sees that there may be one.

    Args:
        tx: A transaction of the client.
        targets: Messages whose text was, or may have been, too long, with the files that they have now.

    Returns:
        Uuid of a note -> the names under which the bytes lie.
    """
    found = find_rows(tx, targets) if targets else {}
    gone: dict[str, list[Row]] = {}
    for target in targets:
        wanted = {file.name for file in target.files}
        rows = [row for row in found[target.note] if is_full_text(row.name)]
        gone[target.note] = [row for row in rows if row.name not in wanted]
    tx.delete(TABLE, [row.id for rows in gone.values() for row in rows])
    return {
        note: [row.file for row in rows if row.file == f"{row.id}-{row.name}"]
        for note, rows in gone.items()
    }


def show_files(tx: Tx, target: FileTarget, rows: Iterable[Row]) -> None:
    """Take the files of a note that is public now under its reply."""
    tx.update(
        TABLE,
        [
            {"id": row.id, "ticketreplyid": target.reply_id, "name": row.name}
            for row in rows
            if row.ticketreplyid != target.reply_id
        ],
    )


def tagged_name(note: str, name: str, limits: TextLimits) -> str:
    """Return the name of an internal note's file, for ``files.name``; it may be shorter than without.

    Args:
        note: Uuid of the note.
        name: What people call the file.
        limits: What ``files.name`` holds.
    """
    return file_names.shown_name(private_tag(note) + file_names.shown_name(name, limits), limits)


def untagged_name(note: str, row: Row, limits: TextLimits) -> str:
    """Return what people call an internal note's file, also where its tag has made the name shorter.

    Args:
        note: Uuid of the note.
        row: Of ``files``, its name without the tag (:func:`find_rows`).
        limits: What ``files.name`` holds.
    """
    # the name that its bytes lie under has no tag
    name, whole = str(row.name), str(row.file).removeprefix(f"{row.id}-")
    is_it = tagged_name(note, whole, limits) == f"{private_tag(note)}{name}"
    return whole if is_it else name


def find_file_targets(tx: Tx, pending: Sequence[Pending]) -> None:
    """Say of each ticket where the files of its messages go, now that their rows are there."""
    messages = [
        (entry, message) for entry in pending for message in entry.messages if message.files
    ]
    public = [message.uuid for _, message in messages if message.is_public]
    ids = tx.select_by_reference("tickets_replies", ["id"], public) if public else {}
    for entry, message in messages:
        row = ids.get(message.uuid)
        if message.is_public and row is None:
            continue
        entry.outcome.files.append(
            FileTarget(
                message.uuid,
                row.id if row is not None else None,
                message.files,
                was_private=message.uuid in entry.outcome.made_public,
            )
        )
    for entry in pending:
        entry.outcome.files += entry.carried
