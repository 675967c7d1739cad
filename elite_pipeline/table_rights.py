"""Which rights an account has on a table, found out by asking for plans that are never carried out.

Grants can come from roles, from patterns and from several places; whether a statement would be let
through is known to the server alone. So it is asked to explain one, which takes the same rights and
changes nothing.
"""

from collections.abc import Sequence
from typing import Literal

import sqlalchemy as sa

Right = Literal["SELECT", "INSERT", "UPDATE", "DELETE"]

#: Right -> a statement that takes it, and no other one. No row is ever met by one of them.
_PROBES: dict[Right, str] = {
    "SELECT": "SELECT {column} FROM {table} WHERE 1 = 0",
    "INSERT": "EXPLAIN INSERT INTO {table} ({column}) SELECT 1 FROM DUAL WHERE 1 = 0",
    "UPDATE": "EXPLAIN UPDATE {table} SET {column} = 1 WHERE 1 = 0",
    "DELETE": "EXPLAIN DELETE FROM {table} WHERE 1 = 0",
}
#: Command denied on the table, on the column; access denied.
_DENIED = frozenset({1142, 1143, 1044})
#: A column needs a value: that is looked at after the rights are.
_NO_DEFAULT = 1364


def lacking_rights(
    connection: sa.Connection, table: str, column: str, rights: Sequence[Right]
) -> list[Right]:
    """Return those rights that the connection's account does not have on a table.

    SQLite has no rights but those on its file: nothing lacks there.

    Args:
        connection: To a server.
        table: A table that is there.
        column: A column of it that holds numbers.
        rights: What is needed.

    Raises:
        sqlalchemy.exc.DBAPIError: The server does not say.
    """
    if connection.dialect.name == "sqlite":
        return []
    quote = connection.dialect.identifier_preparer.quote_identifier
    missing: list[Right] = []
    for right in rights:
        statement = _PROBES[right].format(table=quote(table), column=quote(column))
        try:
            connection.exec_driver_sql(statement).close()
        except sa.exc.DBAPIError as error:
            arguments = getattr(error.orig, "args", ())
            number = arguments[0] if arguments else None
            if number in _DENIED:
                missing.append(right)
            elif number != _NO_DEFAULT:
                raise
    return missing
