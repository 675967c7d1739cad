"""Fitting texts to their columns, one by one or the rows of a batch together.

What does not belong here: what a column holds (``schema``), what is done with a text that it does not
hold as it is (``text``).
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol, cast


class Fitter(Protocol):
    """What fits texts to columns; a ``TogadeskStore`` does."""

    def fit(self, table: str, column: str, value: str) -> str:
        """Return a text in the form in which the column holds all of it.

        Raises:
            ValueDoesNotFitError: It is too long, or not valid Unicode.
        """

    def fit_row(self, table: str, row: dict[str, str]) -> dict[str, object]:
        """Return the texts of a row as :meth:`fit` returns each, in their order; perhaps in place.

        Raises:
            ValueDoesNotFitError: One of them is too long, or not valid Unicode.
        """


class ColumnFitter(Fitter, Protocol):
    """What can look at many texts of a column at once as well; a ``TogadeskStore`` does."""

    def not_plain(self, table: str, column: str, texts: Sequence[str]) -> Sequence[int]:
        """Return the places of the texts that need a closer look, among some of one column."""


class FittedTogether:
    """Takes the rows of a batch as they are, and fits them once all are there.

    Nearly all texts are short and ASCII, and to see that of a thousand at once takes a fraction of the
    time.

    Args:
        columns: Fits what needs it.
    """

    def __init__(self, columns: ColumnFitter) -> None:
        self._columns = columns
        #: Table -> rows, as they are handed out.
        self._rows: defaultdict[str, list[dict[str, str]]] = defaultdict(list)

    def fit(self, table: str, column: str, value: str) -> str:
        """Return a single text in the form in which the column holds all of it.

        Raises:
            ValueDoesNotFitError: It is too long, or not valid Unicode.
        """
        return self._columns.fit(table, column, value)

    def fit_row(self, table: str, row: dict[str, str]) -> dict[str, object]:
        """Return a row, which :meth:`finish` fits in place; all rows of a table have the same columns."""
        self._rows[table].append(row)
        return cast("dict[str, object]", row)

    def finish(self) -> dict[int, Exception]:
        """Fit the rows that were taken.

        Returns:
            What is wrong with those of which a text could not be fitted: ``id`` of the row -> the error,
            a PermanentError where it does not fit.
        """
        failed: dict[int, Exception] = {}
        for table, rows in self._rows.items():
            for column in rows[0]:
                texts = [row[column] for row in rows]
                for place in self._columns.not_plain(table, column, texts):
                    row = rows[place]
                    try:
                        row[column] = self._columns.fit(table, column, texts[place])
                    except Exception as error:  # noqa: BLE001 - of this row alone, and handed on
                        # of several columns the first one counts, as where each is fitted by itself
                        failed.setdefault(id(row), error)
        return failed
