"""Empty databases for the pipeline's own tables, on SQLite and on a server."""

from pathlib import Path

import pytest

from elite_pipeline_tests.support.helpdesks import Opener

#: For ``@pytest.fixture(params=…)``.
LEDGER_PARAMS = ["sqlite", pytest.param("mariadb-modern-strict", marks=pytest.mark.server)]


def empty_database(kind: str, folder: Path, open_helpdesk: Opener) -> str:
    """Return the address of an empty database of a kind."""
    if kind == "sqlite":
        return f"sqlite:///{folder / 'ledger.sqlite'}"
    return open_helpdesk(kind).url
