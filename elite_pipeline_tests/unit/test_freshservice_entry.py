"""The registry's section on Freshservice: defaults, what counts, and how mistakes in it are named."""

from pathlib import Path
from typing import Any

import pytest

from elite_pipeline import demo
from elite_pipeline.clients import Client
from elite_pipeline.errors import ConfigurationError
from elite_pipeline.freshservice.limits import PLANS, limits_of
from elite_pipeline.freshservice.links import LinkRules
from elite_pipeline.freshservice_entry import DEFAULT_ATTACHMENT_HOSTS, FreshserviceEntry
from elite_pipeline.settings import Settings
from elite_pipeline_tests.unit.test_clients import PASTED, entry, problem_of, registry
from elite_pipeline_tests.unit.test_settings import own

ADDRESS = "https://eliteservicedesk.freshservice.com"
SECTION = {"base_url": ADDRESS, "webhook_action": "Elite/Webhook"}


def section(**fields: Any) -> FreshserviceEntry:
    made = registry(elite=entry(freshservice={**SECTION, **fields})).get("elite").freshservice
    assert made is not None
    return made


def client_with(**fields: Any) -> Client:
    return registry(elite=entry(freshservice={**SECTION, **fields})).get("elite")


def test_what_is_not_given_has_the_documented_default() -> None:
    made = section()
    assert made.plan == "starter"
    assert made.calls_per_minute is None
    assert made.attachment_hosts == DEFAULT_ATTACHMENT_HOSTS
    assert "amazonaws.com" in made.attachment_hosts
    assert made.max_file_bytes == 40 << 20
    assert made.lag_seconds == 300
    client = client_with()
    assert client.freshservice_status_map == {2: "OPEN", 3: "PENDING", 4: "RESOLVED", 5: "CLOSED"}
    assert client.freshservice_priority_map == {1: "LOW", 2: "NORMAL", 3: "HIGH", 4: "URGENT"}


def test_a_client_without_the_section_has_the_maps_and_no_account() -> None:
    client = registry(elite=entry()).get("elite")
    assert client.freshservice is None
    assert client.freshservice_status_map[2] == "OPEN"
    with pytest.raises(ConfigurationError, match="'elite' has no section freshservice"):
        Settings().freshservice_api_url(client)


def test_what_is_given_is_what_counts() -> None:
    given = {
        "plan": "pro",
        "calls_per_minute": 80,
        "attachment_hosts": ["files.example.com", "127.0.0.1"],
        "max_file_mb": 5,
        "lag_seconds": 60,
        "status_map": {3: "WAITING", 6: "ON_HOLD"},
        "priority_map": {1: "NORMAL"},
    }
    made, client = section(**given), client_with(**given)
    assert (made.plan, made.calls_per_minute, made.max_file_bytes) == ("pro", 80, 5 << 20)
    assert made.attachment_hosts == ("files.example.com", "127.0.0.1")
    assert client.freshservice_status_map[3] == "WAITING"
    assert client.freshservice_status_map[6] == "ON_HOLD"
    assert client.freshservice_status_map[2] == "OPEN"
    assert client.freshservice_priority_map[1] == "NORMAL"


@pytest.mark.parametrize(
    ("address", "api", "account"),
    [
        (ADDRESS, f"{ADDRESS}/api/v2", "eliteservicedesk.freshservice.com"),
        (f"{ADDRESS}/", f"{ADDRESS}/api/v2", "eliteservicedesk.freshservice.com"),
        (f"{ADDRESS}/api/v2/", f"{ADDRESS}/api/v2", "eliteservicedesk.freshservice.com"),
        (f"{ADDRESS}:443", f"{ADDRESS}/api/v2", "eliteservicedesk.freshservice.com"),
        ("http://127.0.0.1:8092", "http://127.0.0.1:8092/api/v2", "127.0.0.1:8092"),
        ("http://localhost", "http://localhost/api/v2", "localhost"),
    ],
)
def test_an_address_is_taken_as_it_is_meant(address: str, api: str, account: str) -> None:
    made = section(base_url=address)
    assert (made.api_url, made.account) == (api, account)


@pytest.mark.parametrize(
    ("fields", "field", "expected"),
    [
        ({"base_url": "http://x.freshservice.com"}, "base_url", "expected https"),
        ({"base_url": "http://127.0.0.1.example.com"}, "base_url", "expected https"),
        ({"base_url": "http://10.0.0.1"}, "base_url", "expected https"),
        ({"base_url": f"https://key:{PASTED}@x.freshservice.com"}, "base_url", "without credentials"),
        ({"base_url": f"{ADDRESS}/?key={PASTED}"}, "base_url", "without credentials"),
        ({"base_url": f"{ADDRESS}/api/v1"}, "base_url", "without a path"),
        ({"base_url": f"{ADDRESS}/{PASTED}"}, "base_url", "without a path"),
        ({"base_url": ""}, "base_url", "expected an address such as https://"),
        ({"base_url": "ftp://x.freshservice.com"}, "base_url", "expected an address such as https://"),
        ({"webhook_action": "x" * 129}, "webhook_action", "128"),
        ({"plan": PASTED}, "plan", "'enterprise'"),
        ({"calls_per_minute": 0}, "calls_per_minute", "at least 1"),
        ({"calls_per_minute": PASTED}, "calls_per_minute", "expected a whole number"),
        ({"attachment_hosts": []}, "attachment_hosts", "at least 1"),
        ({"attachment_hosts": "amazonaws.com"}, "attachment_hosts", "expected a list"),
        ({"attachment_hosts": [""]}, "attachment_hosts.0", "the name of a host"),
        ({"attachment_hosts": ["com"]}, "attachment_hosts.0", "the name of a host"),
        ({"attachment_hosts": ["*.amazonaws.com"]}, "attachment_hosts.0", "the name of a host"),
        ({"attachment_hosts": [".amazonaws.com"]}, "attachment_hosts.0", "the name of a host"),
        ({"attachment_hosts": ["https://amazonaws.com"]}, "attachment_hosts.0", "the name of a host"),
        ({"attachment_hosts": ["amazonaws.com:443"]}, "attachment_hosts.0", "the name of a host"),
        ({"attachment_hosts": ["Amazonaws.com"]}, "attachment_hosts.0", "in lower case"),
        ({"attachment_hosts": ["10.0.0.1"]}, "attachment_hosts.0", "the name of a host"),
        ({"max_file_mb": 0}, "max_file_mb", "at least 1"),
        ({"max_file_mb": 4_000}, "max_file_mb", "at most 1024"),
        ({"lag_seconds": 0}, "lag_seconds", "at least 1"),
        ({"status_map": {2: ""}}, "status_map.2", "not empty"),
        ({"status_map": {2: " OPEN"}}, "status_map.2", "without blanks"),
        ({"status_map": {0: "OPEN"}}, "status_map", "at least 1"),
        ({"status_map": {"open": "OPEN"}}, "status_map", "whole number"),
        ({"priority_map": {1: 5}}, "priority_map.1", "needs quotes"),
        ({"api_key": PASTED}, "api_key", "secrets come from the environment"),
        ({"colour": "red"}, "colour", "unknown field"),
    ],
)  # fmt: skip
def test_a_mistake_names_client_field_and_what_was_expected(
    fields: dict[str, Any], field: str, expected: str
) -> None:
    said = problem_of(freshservice={**SECTION, **fields})
    assert said.startswith("r.yaml: client 'elite': ")
    assert f"freshservice.{field}" in said
    assert expected in said
    assert PASTED not in said


def test_every_plan_has_its_documented_limits() -> None:
    found = {
        plan: (limits.overall, limits.kinds["list_tickets"], limits.kinds["view_ticket"])
        for plan, limits in PLANS.items()
    }
    assert found == {
        "starter": (100, 40, 50),
        "growth": (200, 70, 80),
        "pro": (400, 120, 140),
        "enterprise": (500, 140, 160),
    }
    for plan in PLANS:
        assert section(plan=plan).plan == plan
        assert limits_of(plan, 7).overall == 7


def test_the_key_comes_from_the_environment_or_is_the_demos(tmp_path: Path) -> None:
    client, real = client_with(), own(tmp_path)
    name = "ELITE_FRESHSERVICE_API_KEY"
    assert real.freshservice_api_key(client, {name: " key "}) == "key"
    for missing in ({}, {name: " "}):
        with pytest.raises(ConfigurationError, match=f"{name} not set"):
            real.freshservice_api_key(client, missing)
        assert Settings().freshservice_api_key(client, missing) == demo.demo_freshservice_key(
            "elite"
        )
    assert demo.demo_freshservice_key("elite") != demo.demo_freshservice_key("wje")
    assert demo.demo_freshservice_key("elite") != demo.demo_webhook_secret("elite")


def test_the_demos_account_is_the_sandbox_wherever_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FRESHSERVICE_PORT", raising=False)
    settings = Settings()
    elite, wje = (settings.registry.get(name) for name in ("elite", "wje"))
    assert settings.freshservice_api_url(elite) == "http://127.0.0.1:8092/api/v2"
    monkeypatch.setenv("FRESHSERVICE_PORT", "8123")
    assert settings.freshservice_api_url(elite) == "http://127.0.0.1:8123/api/v2"
    assert elite.freshservice is not None
    assert elite.freshservice.webhook_action == "Elite/Webhook"
    LinkRules(elite.freshservice.attachment_hosts).check("http://127.0.0.1:8123/data/a")
    assert wje.freshservice is None
    # outside the demo the registry says where it is
    client = client_with()
    assert own(tmp_path).freshservice_api_url(client) == f"{ADDRESS}/api/v2"


@pytest.mark.parametrize(
    ("variable", "port", "default"),
    [
        ("FRESHSERVICE_PORT", demo.freshservice_port, 8092),
        ("WEBHOOKS_PORT", demo.webhooks_port, 8093),
    ],
)
def test_ports_of_the_demo(
    monkeypatch: pytest.MonkeyPatch, variable: str, port: Any, default: int
) -> None:
    monkeypatch.delenv(variable, raising=False)
    assert port() == default
    monkeypatch.setenv(variable, "9000")
    assert port() == 9_000
    for wrong in ("x", "0", "65536", "-1"):
        monkeypatch.setenv(variable, wrong)
        with pytest.raises(ConfigurationError, match=variable):
            port()
