"""A whole installation in good order, for ``elite-pipeline doctor`` to look at and tests to spoil."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from elite_pipeline.demo import demo_credentials
from elite_pipeline.doctor import Finding, examine
from elite_pipeline.inbox import tables as inbox_tables
from elite_pipeline.ledger import tables as ledger_tables
from elite_pipeline.observability import call_log_tables
from elite_pipeline.own_tables import bring_up_to_date, connect
from elite_pipeline.sandbox.freshservice import FreshserviceSandbox
from elite_pipeline.sandbox.toga2 import Toga2Sandbox
from elite_pipeline.settings import load_settings
from elite_pipeline_tests.support.freshservice import api_key, running_freshservice
from elite_pipeline_tests.support.helpdesks import Helpdesk
from elite_pipeline_tests.support.systems import demo_client

#: What no line may ever show, beside the keys of TOGA 2.
_PLANTED = {
    "ELITE_FRESHSERVICE_API_KEY": api_key("elite"),
    "ELITE_WEBHOOK_SECRET": "planted-webhook-secret-of-elite",
    "SENTRY_DSN": "https://plantedsentrykey@sentry.example.com/1",
}
_OWN = re.compile(r".*(_API_KEY|_API_SECRET|_WEBHOOK_SECRET|_URL|_DSN|_DIR|_HOME|_CLIENTS)\Z")


@dataclass
class Clinic:
    """An installation, and what a doctor finds there.

    Attributes:
        registry: The document of ``clients.yaml``; written before each look.
        later: How far the clock here is ahead.
    """

    folder: Path
    helpdesk: Helpdesk
    toga2: Toga2Sandbox
    freshservice: FreshserviceSandbox
    monkeypatch: pytest.MonkeyPatch
    registry: dict[str, Any]
    later: timedelta = field(default_factory=timedelta)

    @property
    def elite(self) -> dict[str, Any]:
        """The entry of the client that has everything."""
        found: dict[str, Any] = self.registry["clients"]["elite"]
        return found

    @property
    def uploads(self) -> Path:
        return self.folder / "uploads"

    @property
    def pipeline(self) -> Path:
        return self.folder / "pipeline.sqlite"

    @property
    def call_log(self) -> Path:
        return self.folder / "client_logs.sqlite"

    @property
    def home(self) -> Path:
        return self.folder / "dagster"

    def setenv(self, **variables: str | None) -> None:
        """Set variables of the environment; None takes one away."""
        for name, value in variables.items():
            if value is None:
                self.monkeypatch.delenv(name, raising=False)
            else:
                self.monkeypatch.setenv(name, value)

    def sql(self, path: Path, statement: str) -> None:
        """Change one of the project's own databases, past the pipeline."""
        engine = sa.create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()

    def write_registry(self) -> None:
        path = self.folder / "clients.yaml"
        path.write_text(yaml.safe_dump(self.registry), encoding="utf-8")

    def secrets(self) -> set[str]:
        """Return every secret that is set."""
        secrets = {
            value
            for name, value in os.environ.items()
            if name.endswith(("_API_KEY", "_API_SECRET", "_WEBHOOK_SECRET")) and len(value) > 3
        }
        password = self.helpdesk.engine.url.password
        return secrets | {"plantedsentrykey"} | ({str(password)} if password else set())

    def look(self, *names: str, write: bool = True) -> dict[str | None, list[Finding]]:
        """Return client -> what was found; in no line there is a secret."""
        if write:
            self.write_registry()
        looked = {
            one.client: list(one.findings)
            for one in examine(
                load_settings(),
                names,
                now=lambda: datetime.now(UTC) + self.later,
                folder=self.folder,
            )
        }
        for finding in (finding for found in looked.values() for finding in found):
            assert finding.text.isprintable(), finding
            for secret in self.secrets():
                assert secret not in finding.text, finding.check
        return looked

    def of(self, check: str, *names: str, write: bool = True) -> list[tuple[str, str]]:
        """Return state and text of each finding of a check."""
        looked = self.look(*names, write=write)
        return [
            (finding.state, finding.text)
            for found in looked.values()
            for finding in found
            if finding.check == check
        ]

    def only(self, check: str, *names: str) -> tuple[str, str]:
        """Return state and text of the one finding of a check."""
        (found,) = self.of(check, *names)
        return found


def _registry(freshservice: FreshserviceSandbox) -> dict[str, Any]:
    flows = (
        *("contacts", "units", "teams", "predefined_replies", "category_trees"),
        *("toga2_to_togadesk", "togadesk_to_toga2"),
    )
    on = dict.fromkeys(flows, True)
    return {
        "clients": {
            "elite": {
                "toga2": {"client_uuid": str(demo_client("elite").toga2.client_uuid)},
                "togadesk": {
                    "client_id": 1,
                    "ticket_department_id": 1,
                    "monitored_department_ids": [1, 2],
                },
                "custom_field_prefix": "c_elite",
                "flows": {**on, "freshservice_to_toga2": True},
                "freshservice": {
                    "base_url": f"http://127.0.0.1:{freshservice.account('elite').port}",
                    "webhook_action": "Elite/Webhook",
                    "plan": "pro",
                },
            },
            "wje": {
                "toga2": {
                    "client_uuid": str(demo_client("wje").toga2.client_uuid),
                    "integration_type": "REPAIR_ORDERS",
                },
                "togadesk": {"client_id": 2, "ticket_department_id": 3},
                "custom_field_prefix": "c_wje",
                "flows": on,
            },
        }
    }


def _people(helpdesk: Helpdesk) -> None:
    helpdesk.execute("INSERT INTO config (name, value) VALUES ('timezone', 'UTC')")
    for number, name in ((1, "Elite"), (2, "WJE")):
        helpdesk.execute("INSERT INTO clients VALUES (:a, :b, 'X', '')", number, name)
    for number in (1, 2, 3):
        helpdesk.execute("INSERT INTO tickets_departments VALUES (:a, 'Service', '')", number)


Opened = Callable[[Helpdesk], Clinic]


@pytest.fixture
def open_clinic(
    toga2: Toga2Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Opened]:
    """Set a whole installation up around a helpdesk; nothing of this machine's own settings is in it."""
    for name in [name for name in os.environ if _OWN.match(name) and name != "TEST_MYSQL_URL"]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    with running_freshservice("elite", plan="pro", filled=False) as freshservice:

        def opened(helpdesk: Helpdesk) -> Clinic:
            clinic = Clinic(
                tmp_path, helpdesk, toga2, freshservice, monkeypatch, _registry(freshservice)
            )
            _people(helpdesk)
            clinic.uploads.mkdir()
            clinic.home.mkdir()
            (clinic.home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", "utf-8")
            own = (*ledger_tables.metadata.sorted_tables, *inbox_tables.metadata.sorted_tables)
            for path, tables in (
                (clinic.pipeline, own),
                (clinic.call_log, call_log_tables.metadata.sorted_tables),
            ):
                engine = connect(f"sqlite:///{path}", "X", timeout_seconds=30)
                bring_up_to_date(engine, tables, "X")
                engine.dispose()
            clinic.setenv(
                ELITE_PIPELINE_CLIENTS=str(tmp_path / "clients.yaml"),
                TOGA2_BASE_URL=toga2.base_url,
                TOGADESK_DATABASE_URL=helpdesk.url,
                TOGADESK_UPLOADS_DIR=str(clinic.uploads),
                PIPELINE_DATABASE_URL=f"sqlite:///{clinic.pipeline}",
                CLIENT_LOGS_DATABASE_URL=f"sqlite:///{clinic.call_log}",
                DAGSTER_HOME=str(clinic.home),
                **_PLANTED,
            )
            for name in ("elite", "wje"):
                made_up = demo_credentials(name)
                clinic.setenv(
                    **{
                        f"{name.upper()}_TOGA2_API_KEY": made_up.api_key,
                        f"{name.upper()}_TOGA2_API_SECRET": made_up.api_secret,
                    }
                )
            return clinic

        yield opened


@pytest.fixture
def clinic(open_clinic: Opened, open_helpdesk: Any) -> Clinic:
    """An installation on SQLite."""
    return open_clinic(open_helpdesk("sqlite"))
