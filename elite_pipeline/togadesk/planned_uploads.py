"""The uploads folder in a dry run: read as it is, written into a plan; not even a temporary file is made.

What does not belong here: the folder itself (``uploads``), the rows of ``files`` (``planned``).
"""

import errno
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from elite_pipeline.planning import EffectKind, Planner
from elite_pipeline.togadesk.uploads import Uploads, plain_name

SYSTEM: Final = "uploads folder"
_STORE = EffectKind(SYSTEM, "files", "store")
_DELETE = EffectKind(SYSTEM, "files", "delete")
_CLEAN = EffectKind(SYSTEM, "temporary files", "delete")

#: So many files that would be there are known; a run comes back to a file soon or not at all.
_MOST_KNOWN = 50_000


class PlannedUploads(Uploads):
    """The twin of a folder.

    Args:
        real: Whose twin it is.
        planner: Told of what would be written.
    """

    def __init__(self, real: Uploads, planner: Planner) -> None:
        self.__dict__.update(vars(real))
        self._planner = planner
        self._guard = threading.Lock()
        self._sizes: OrderedDict[str, int | None] = OrderedDict()

    def write(self, stored: str, chunks: Iterable[bytes]) -> int:
        """Plan to write a file, whose bytes are read, and return its size."""
        plain_name(stored)
        former = self.size(stored)
        with self._opened(), self._translated(stored):
            if not os.access(self._folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        digest, size = hashlib.sha256(), 0
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
        self._planner.add(
            _STORE,
            stored,
            lambda: {"size": size, "sha256": digest.hexdigest()},
            lambda: {"size": former} if former is not None else {},
        )
        self._learn(stored, size)
        return size

    def size(self, stored: str) -> int | None:
        """Return the size of a file in bytes, of one that would be there too; None: there is none."""
        with self._guard:
            if stored in self._sizes:
                return self._sizes[stored]
        return super().size(stored)

    def remove(self, stored: str) -> None:
        """Plan to remove a file; one that is not there is removed already."""
        former = self.size(stored)
        if former is not None:
            self._planner.add(_DELETE, stored, dict, lambda: {"size": former})
            self._learn(stored, None)

    def clean(self, older_than_seconds: float) -> int:
        """Plan to remove what killed processes have left half written; return how many there are."""
        with self._opened() as folder, self._translated("a temporary file"):
            left = self._left_behind(folder, older_than_seconds)
        for name in left:
            self._planner.add(_CLEAN, name, dict)
        return len(left)

    def _learn(self, stored: str, size: int | None) -> None:
        with self._guard:
            self._sizes[stored] = size
            if len(self._sizes) > _MOST_KNOWN:
                self._sizes.popitem(last=False)
