"""Databases for the call log, on SQLite and on a server, and runs that log into them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from elite_pipeline.assembly import open_client
from elite_pipeline.demo import DEMO_REGISTRY
from elite_pipeline.observability.call_log_tables import api, metadata
from elite_pipeline.own_tables import bring_up_to_date, connect
from elite_pipeline.settings import Settings
from elite_pipeline.sync.context import FlowContext
from elite_pipeline_tests.support.helpdesks import Opener
from elite_pipeline_tests.support.systems import QUICK, Systems

SETTING = "CLIENT_LOGS_DATABASE_URL"
LOG_PARAMS = ["sqlite", pytest.param("mariadb-modern-strict", marks=pytest.mark.server)]


@dataclass(frozen=True)
class LogDatabase:
    """An empty database that a call log may go to."""

    url: str
    engine: sa.Engine

    def make(self) -> None:
        """Make the table, as ``init-db`` does."""
        bring_up_to_date(self.engine, metadata.sorted_tables, SETTING)

    def rows(self) -> list[dict[str, Any]]:
        """Return all rows in the order in which they were written."""
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(api).order_by(api.c.id)).mappings()
            return [dict(row) for row in rows]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let nobody else write to the table."""
        with self.engine.connect() as connection:
            on_file = self.engine.dialect.name == "sqlite"
            connection.exec_driver_sql("BEGIN EXCLUSIVE" if on_file else "LOCK TABLES `Api` WRITE")
            try:
                yield
            finally:
                connection.exec_driver_sql("ROLLBACK" if on_file else "UNLOCK TABLES")


@pytest.fixture(params=LOG_PARAMS)
def log(
    request: pytest.FixtureRequest, tmp_path: Path, open_helpdesk: Opener
) -> Iterator[LogDatabase]:
    """Hand out a database without the table, once of every kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'logs' / 'client_logs.sqlite'}"
    else:
        url = open_helpdesk(request.param).url
    engine = connect(url, SETTING, timeout_seconds=30)
    yield LogDatabase(url, engine)
    engine.dispose()


@contextmanager
def logged_run(
    systems: Systems,
    log_url: str | None,
    *,
    toga2_url: str | None = None,
    client: str = "elite",
    run_id: str | None = None,
    warn: Callable[[str], None] | None = None,
) -> Iterator[FlowContext]:
    """Open what one run works with, as production does, its calls logged."""
    settings = Settings(
        elite_pipeline_clients=DEMO_REGISTRY,
        toga2_base_url=toga2_url or systems.toga2.base_url,
        togadesk_database_url=SecretStr(systems.helpdesk.url),
        pipeline_database_url=SecretStr(systems.ledger_url),
        client_logs_database_url=SecretStr(log_url) if log_url is not None else None,
    )
    entry = settings.registry.get(client)
    with open_client(settings, entry, retry=QUICK, run_id=run_id, warn=warn) as context:
        yield context
