"""Reads the bytes of files on both sides, and compares what they come to.

What does not belong here: which file is which row (``judged_files``).
"""

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from contextlib import nullcontext
from functools import partial
from threading import Lock

from elite_pipeline.errors import PipelineError
from elite_pipeline.iteration import chunked
from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.file_pairs import FilePair
from elite_pipeline.sync.incoming_files import LARGE_BYTES

#: Files that are read before what came of them is looked at.
_TOGETHER = 200
_STEP = 1 << 20

#: What the bytes came to in TOGA 2, and in the helpdesk.
Digests = tuple[bytes, bytes]


class FileBytes:
    """Compares bytes of one client's files."""

    def __init__(self, context: FlowContext) -> None:
        self._toga2 = context.toga2
        self._uploads = context.uploads
        # larger ones one at a time, so that memory holds one of them
        self._large = Lock()

    def compare(
        self, pairs: Sequence[FilePair], groups: Sequence[Hashable]
    ) -> list[bool | PipelineError]:
        """Return whether each pair has the same bytes on both sides, or why that cannot be said.

        Args:
            pairs: Files whose bytes are there.
            groups: What each belongs to: within one group nothing tells which file is which row, so its
                files are equal when their bytes are, whatever their order.

        Raises:
            SystemicError: TOGA 2 cannot be asked at all.
        """
        digests: list[Digests | PipelineError] = []
        for some in chunked(pairs, _TOGETHER):
            jobs = [partial(self._digests, pair) for pair in some]
            digests += self._toga2.run_many(jobs, "files")
        here: dict[Hashable, Counter[bytes]] = {}
        for group, one in zip(groups, digests, strict=True):
            if not isinstance(one, PipelineError):
                here.setdefault(group, Counter())[one[1]] += 1
        verdicts: list[bool | PipelineError] = []
        for group, one in zip(groups, digests, strict=True):
            if isinstance(one, PipelineError):
                verdicts.append(one)
                continue
            left = here[group]
            verdicts.append(left[one[0]] > 0)
            left[one[0]] -= 1
        return verdicts

    def _digests(self, pair: FilePair) -> Digests:
        is_large = pair.size is None or pair.size > LARGE_BYTES
        with self._large if is_large else nullcontext():
            if pair.file.uuid is None:
                there = _digest([pair.file.content])
            else:
                there = _digest(self._toga2.download(pair.file.uuid).chunks())
        return there, self._digest_here(pair)

    def _digest_here(self, pair: FilePair) -> bytes:
        if pair.row is None:
            raise ValueError("a file without a row has no bytes")
        content, _ = self._uploads.open(pair.row.file, file_id=pair.row.id)
        with content:
            return _digest(iter(partial(content.read, _STEP), b""))


def _digest(chunks: Iterable[bytes]) -> bytes:
    digest = hashlib.blake2b(digest_size=20)
    for chunk in chunks:
        digest.update(chunk)
    return digest.digest()
