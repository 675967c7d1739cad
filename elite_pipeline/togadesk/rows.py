"""What a read gives back.

What belongs here: the shape of rows in Python. What does not: how they were found.
"""

from typing import Any


class Row(dict[str, Any]):
    """One row: ``row["email"]`` and ``row.email`` are the same."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        """Return the value of the column ``name``."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"The row has no column {name!r}.") from None


class ReferencedRows(dict[str, Row]):
    """Rows by the reference that was asked for.

    Attributes:
        duplicates: How many rows beyond the first carry a reference that was asked for. The row
            with the lowest id stands for all of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.duplicates = 0
