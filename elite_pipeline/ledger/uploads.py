"""Which files are on their way into TOGA 2, so that one whose upload was cut off is found again.

A file in TOGA 2 has no field for a key of ours. So before its bytes are sent it is written down that they
are about to be; a later run that finds the entry looks for the file before it sends it again
(``spec/sync.md`` section 6). Losing the entry costs an upload that nobody sees, and doubles nothing.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from elite_pipeline.ledger.database import LedgerDatabase
from elite_pipeline.ledger.tables import uploads


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that an earlier run has begun.

    Attributes:
        uuid: What TOGA 2 calls the file; None: it is not known whether it has it.
    """

    file_id: int
    uuid: str | None


class Uploads:
    """One client's uploads that are under way. Safe to use from several threads."""

    def __init__(self, database: LedgerDatabase, client: str) -> None:
        self._database = database
        self._client = client

    def begin(self, file_id: int) -> Upload | None:
        """Write down that a file is about to be sent; return what an earlier run wrote, if one did."""
        with self._database.begin() as connection:
            found = connection.execute(
                sa.select(uploads.c.toga2_uuid).where(self._mine(file_id))
            ).one_or_none()
            if found is not None:
                return Upload(file_id, found.toga2_uuid)
            connection.execute(
                sa.insert(uploads).values(client=self._client, file_id=file_id, toga2_uuid=None)
            )
        return None

    def made_as(self, file_id: int) -> str | None:
        """Return what TOGA 2 calls a file that was sent and not yet linked; None: nothing says."""
        with self._database.begin() as connection:
            found = connection.execute(
                sa.select(uploads.c.toga2_uuid).where(self._mine(file_id))
            ).scalar()
        return str(found) if found is not None else None

    def made(self, file_id: int, uuid: str) -> None:
        """Write down what TOGA 2 calls the file that was sent."""
        with self._database.begin() as connection:
            connection.execute(
                sa.update(uploads).where(self._mine(file_id)).values(toga2_uuid=uuid)
            )

    def end(self, file_id: int) -> None:
        """Forget a file: it hangs on its note."""
        with self._database.begin() as connection:
            connection.execute(sa.delete(uploads).where(self._mine(file_id)))

    def _mine(self, file_id: int) -> sa.ColumnElement[bool]:
        return sa.and_(uploads.c.client == self._client, uploads.c.file_id == file_id)
