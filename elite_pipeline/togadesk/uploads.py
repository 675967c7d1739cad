"""The helpdesk's uploads folder: bytes in, bytes out, and never outside of it.

``spec/sync.md`` section 6. Bytes are written to a hidden, unguessable temporary name in the same folder,
flushed to the disk and moved into place: nobody reads half a file, and a link that somebody put in the
place of one is replaced, not followed. Everything goes through a descriptor of the folder.

What does not belong here: what a file is called (``file_names``), and its row in ``files``.
"""

import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from elite_pipeline.errors import PermanentError, PipelineError, TransientError

#: The setting that says where the folder is.
SETTING = "TOGADESK_UPLOADS_DIR"

_TEMPORARY = re.compile(r"\.elite-pipeline-[0-9a-f]{32}\.part")
#: Before the umask: readable by the web server, executable by nobody.
_MODE = 0o644

#: EFBIG is a limit on the size of files: to be raised as a full disk is to be emptied.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_PASSING = frozenset({errno.EIO, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ESTALE})
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class OpenFile(NamedTuple):
    """A file of the folder, open for reading.

    Attributes:
        stream: Its bytes; to be closed by whoever opened it.
        size: Bytes.
    """

    stream: BinaryIO
    size: int


class Uploads:
    """The uploads folder. Safe to use from several threads and processes.

    Args:
        folder: Where it is; made by the helpdesk, never by the sync.
        clock: Seconds since the epoch, as the folder's file system counts them.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock

    def write(self, stored: str, chunks: Iterable[bytes]) -> int:
        """Write a file and return its size in bytes; a file that is there by that name is replaced.

        Whatever ends it early, the stream of chunks included, leaves nothing behind and the former file
        as it was.

        Args:
            stored: A name as :func:`~elite_pipeline.togadesk.file_names.stored_name` makes them.
            chunks: Its bytes in order.

        Raises:
            TransientError: The disk is full, or failed.
            PermanentError: The folder is missing or cannot be written to, or the name is none.
        """
        name = plain_name(stored)
        temporary = temporary_name(secrets.token_hex(16)).encode()
        with self._opened() as folder:
            with self._translated(stored):
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                target = os.open(temporary, flags, _MODE, dir_fd=folder)
            try:
                try:
                    size = 0
                    for chunk in chunks:
                        with self._translated(stored):
                            _write_all(target, chunk)
                        size += len(chunk)
                    with self._translated(stored):
                        os.fsync(target)
                finally:
                    # what is written is on the disk already, or to be removed
                    with suppress(OSError):
                        os.close(target)
                with self._translated(stored):
                    os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                # also of one that could be moved into place before it was interrupted
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise
            with self._translated(stored):
                os.fsync(folder)
        return size

    def open(self, stored: str, *, file_id: int | None = None) -> OpenFile:
        """Open a file for reading.

        Args:
            stored: Its ``files.file``.
            file_id: Its row, for messages.

        Raises:
            PermanentError: It is not there, is no plain file of the folder, or may not be read.
            TransientError: The disk failed.
        """
        name = plain_name(stored, file_id)
        with self._opened() as folder, self._translated(stored, file_id):
            # not to wait for the writer of a pipe that somebody put there
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            source = os.open(name, flags, dir_fd=folder)
        try:
            found = os.fstat(source)
            if not stat.S_ISREG(found.st_mode):
                raise _no_plain_file(stored, file_id)
            return OpenFile(os.fdopen(source, "rb"), found.st_size)
        except BaseException:
            os.close(source)
            raise

    def size(self, stored: str) -> int | None:
        """Return the size of a file in bytes; None: there is no plain file by that name.

        Raises:
            PermanentError: The folder is missing or may not be read, or the name is none.
            TransientError: The disk failed.
        """
        name = plain_name(stored)
        with self._opened() as folder, self._translated(stored):
            try:
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def remove(self, stored: str) -> None:
        """Remove a file; one that is not there is removed already.

        Raises:
            PermanentError: The folder is missing or cannot be written to, or the name is none.
            TransientError: The disk failed.
        """
        name = plain_name(stored)
        with (
            self._opened() as folder,
            self._translated(stored),
            suppress(FileNotFoundError),
        ):
            os.unlink(name, dir_fd=folder)

    def clean(self, older_than_seconds: float) -> int:
        """Remove what killed processes left half written, and return how many there were.

        Args:
            older_than_seconds: Longer than writing any file takes.

        Raises:
            PermanentError: The folder is missing or may not be read.
            TransientError: The disk failed.
        """
        removed = 0
        with self._opened() as folder, self._translated("a temporary file"):
            for name in self._left_behind(folder, older_than_seconds):
                # another process may clean up at the same time
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
                    removed += 1
        return removed

    def _left_behind(self, folder: int, older_than_seconds: float) -> list[str]:
        """Return the files that nobody writes any more."""
        left: list[str] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if _TEMPORARY.fullmatch(entry.name):
                    with suppress(FileNotFoundError):
                        written = entry.stat(follow_symlinks=False).st_mtime
                        if self._clock() - written > older_than_seconds:
                            left.append(entry.name)
        return left

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """Open the folder itself; a link to a folder is one."""
        try:
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in _PASSING:
                raise self._passing(error) from error
            raise PermanentError(
                f"The uploads folder {self._folder} cannot be opened ({_reason(error)}): check that "
                f"{SETTING} names the helpdesk's uploads folder, and that this user may use it."
            ) from error
        try:
            yield folder
        finally:
            os.close(folder)

    @contextmanager
    def _translated(self, stored: str, file_id: int | None = None) -> Iterator[None]:
        """Say what went wrong with a file."""
        try:
            yield
        except OSError as error:
            raise self._problem(error, stored, file_id) from error

    def _problem(self, error: OSError, stored: str, file_id: int | None) -> PipelineError:
        if error.errno in _FULL:
            return TransientError(
                f"The uploads folder {self._folder} is full ({_reason(error)}): {stored!r} was not "
                "written. Make room on its disk, or raise its limits."
            )
        if error.errno in _PASSING:
            return self._passing(error)
        if error.errno in _REFUSED:
            return PermanentError(
                f"The uploads folder {self._folder} does not let this user use {stored!r} "
                f"({_reason(error)}): give it the right to read and write there; the folder is "
                f"what {SETTING} says."
            )
        if error.errno == errno.ENOENT:
            return PermanentError(
                f"The bytes of file {_called(stored, file_id)} are missing in the uploads folder "
                f"{self._folder}: put the file back, remove its row in files, or check {SETTING}."
            )
        if error.errno == errno.ELOOP:
            return _no_plain_file(stored, file_id)
        return PermanentError(
            f"The uploads folder {self._folder} cannot take or give file {_called(stored, file_id)} "
            f"({_reason(error)})."
        )

    def _passing(self, error: OSError) -> TransientError:
        return TransientError(
            f"The uploads folder {self._folder} fails at the moment ({_reason(error)})."
        )


def temporary_name(digits: str) -> str:
    """Return a hidden name that :meth:`Uploads.clean` knows; ``digits``: 32 hexadecimal ones."""
    return f".elite-pipeline-{digits}.part"


def _write_all(target: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(target, rest) :]


def plain_name(stored: str, file_id: int | None = None) -> bytes:
    """Return a name of a file in the folder, and of nothing else, in the folder's bytes.

    Raises:
        PermanentError: It is none.
    """
    if not stored or stored in {".", ".."} or any(character in stored for character in "/\\\0"):
        raise PermanentError(
            f"File {_called(stored, file_id)} has a name that is none in the uploads folder: correct "
            "its row in files."
        )
    try:
        return stored.encode()
    except UnicodeEncodeError:
        raise PermanentError(
            f"File {_called(stored, file_id)} has a name that is not valid Unicode: correct its row "
            "in files."
        ) from None


def _no_plain_file(stored: str, file_id: int | None) -> PermanentError:
    return PermanentError(
        f"File {_called(stored, file_id)} is a link, a folder or a device in the uploads folder and "
        "is not used: put the file itself there."
    )


def _called(stored: str, file_id: int | None) -> str:
    shown = f"{stored[:300]!a}" if not stored.isprintable() else f"{stored[:300]!r}"
    return shown if file_id is None else f"{file_id} ({shown})"


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
