"""The helpdesk's uploads folder: there, readable, writable for real, with room."""

import os
import secrets
import shutil
import stat
from pathlib import Path

from elite_pipeline.doctor.findings import Notes
from elite_pipeline.errors import PermanentError
from elite_pipeline.settings import Settings
from elite_pipeline.togadesk import Uploads
from elite_pipeline.togadesk.uploads import SETTING, temporary_name

#: Bytes free on the folder's disk: below the first all is well only for a while, below the second not.
_LITTLE = 2 << 30
_TOO_LITTLE = 100 << 20

_PROBE = b"elite-pipeline doctor\n"


def look_at_uploads(notes: Notes, settings: Settings, *, needed: bool) -> None:
    """Look at the folder.

    Args:
        notes: Where findings go.
        settings: Where it is.
        needed: Whether a flow of the clients that are looked at uses it.
    """
    if not needed:
        notes.note("uploads.folder", "no flow that is switched on reads or writes files")
        return
    with notes.guard("uploads.folder") as guard:
        folder = settings.uploads_dir
        _write_and_remove(folder)
        notes.ok(
            "uploads.folder",
            f"{folder} ({SETTING}): a file was written, renamed, read and removed there",
        )
    if guard.is_broken:
        return
    with notes.guard("uploads.space"):
        _look_at_space(notes, folder)
        notes.note("uploads.owner", _owner(folder))


def _write_and_remove(folder: Path) -> None:
    """Make a file as the sync does, under a hidden name, and take it away again.

    Raises:
        PermanentError, TransientError: It cannot be done; the message says what to do.
    """
    uploads = Uploads(folder)
    # of the kind that housekeeping removes, should this process be killed in between
    name = temporary_name(secrets.token_hex(16))
    try:
        uploads.write(name, [_PROBE])
        with uploads.open(name).stream as stream:
            read = stream.read()
    finally:
        uploads.remove(name)
    if read != _PROBE:
        raise PermanentError(
            f"{folder} ({SETTING}) gives back other bytes than were written to it: see what file system "
            "it is on"
        )


def _look_at_space(notes: Notes, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    text = f"{free / (1 << 30):.1f} GiB free on the disk of {folder}"
    if free < _TOO_LITTLE:
        notes.wrong("uploads.space", f"{text}: make room, files of a few MB no longer fit")
    elif free < _LITTLE:
        notes.warning("uploads.space", f"{text}: make room soon")
    else:
        notes.ok("uploads.space", text)


def _owner(folder: Path) -> str:
    found = folder.stat()
    return (
        f"{folder} belongs to {_name(folder, 'owner', found.st_uid)}:"
        f"{_name(folder, 'group', found.st_gid)}, mode {stat.S_IMODE(found.st_mode):04o}; this process "
        f"is user {os.geteuid()}; files are written with mode 0644, for the web server to read"
    )


def _name(folder: Path, what: str, number: int) -> str:
    """Return the name of an owner; its number where nobody has named it."""
    try:
        return folder.owner() if what == "owner" else folder.group()
    except KeyError:
        return str(number)
