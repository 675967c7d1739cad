"""Transactions in which a database itself refuses to write: the second belt of a dry run.

The first is that nothing which writes is in the hands of a dry run at all (``planning``).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa


@contextmanager
def only_reading(connection: sa.Connection) -> Iterator[None]:
    """Let a transaction that has just begun do nothing but read, for the length of a ``with`` block.

    MySQL and MariaDB refuse what writes also to tables without transactions (MyISAM).
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")
        try:
            yield
        finally:
            # the connection goes back to the pool, and to others
            connection.exec_driver_sql("PRAGMA query_only = OFF")
        return
    # ends with the transaction
    connection.exec_driver_sql("START TRANSACTION READ ONLY")
    yield
