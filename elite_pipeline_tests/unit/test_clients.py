"""The registry: what a right one gives, and how every kind of mistake in it is named."""

from pathlib import Path
from textwrap import dedent
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from elite_pipeline.checks_entry import ChecksEntry
from elite_pipeline.clients import Registry, load_registry, parse_registry
from elite_pipeline.errors import ConfigurationError

PASTED = "hunter2-pasted-by-mistake"


def entry(number: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a right entry; ``changes`` name fields as ``section__field``, None takes one away."""
    made: dict[str, Any] = {
        "toga2": {"client_uuid": f"00000000-0000-4000-8000-{number:012}"},
        "togadesk": {"client_id": number, "ticket_department_id": number},
        "custom_field_prefix": "c_elite",
    }
    for name, value in changes.items():
        *sections, field = name.split("__")
        place = made
        for section in sections:
            place = place.setdefault(section, {})
        if value is None:
            place.pop(field)
        else:
            place[field] = value
    return made


def registry(**entries: Any) -> Registry:
    named = {name.replace("_", "-"): value for name, value in entries.items()}
    return parse_registry(yaml.safe_dump({"clients": named}, sort_keys=False), source="r.yaml")


def problem_of(**changes: Any) -> str:
    """Return what is said about one wrong entry, beside one that stays usable."""
    made = registry(elite=entry(**changes), wje=entry(2))
    assert made.get("wje").togadesk.client_id == 2
    assert list(made.problems) == ["elite"]
    with pytest.raises(ConfigurationError) as caught:
        made.get("elite")
    assert str(caught.value) == made.problems["elite"]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_not_given_has_the_documented_default() -> None:
    client = registry(compass_usa=entry()).get("compass-usa")
    assert client.toga2.integration_type == "TICKETS"
    assert client.toga2.lag_seconds == 120
    assert client.monitored_department_ids == (1,)
    assert client.timezone == ZoneInfo("UTC")
    assert not any(client.flows.model_dump().values())
    assert client.environment_prefix == "COMPASS_USA"
    assert client.status_map["IN_PROGRESS"] == "In Progress"
    assert client.priority_map["URGENT"] == "High"
    assert client.checks == ChecksEntry()
    assert client.checks.watermark_lag_minutes == 60


def test_a_check_can_be_switched_off_alone() -> None:
    checks = registry(elite=entry(checks={"quiet_hours": None})).get("elite").checks
    assert checks == ChecksEntry(quiet_hours=None)


def test_what_is_given_is_what_counts() -> None:
    client = registry(
        elite=entry(
            togadesk__monitored_department_ids=[1, 2],
            togadesk__timezone="America/Chicago",
            toga2__status_map={"PENDING": "Reopened"},
            toga2__priority_map={"LOW": "Normal"},
            flows__contacts=True,
        )
    ).get("elite")
    assert client.monitored_department_ids == (1, 2)
    assert client.timezone == ZoneInfo("America/Chicago")
    assert client.status_map["PENDING"] == "Reopened"
    assert client.status_map["NEW"] == "Open"
    assert client.priority_map["LOW"] == "Normal"
    assert client.flows.contacts
    assert not client.flows.units


@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        ({"toga2__client_uuid": PASTED}, "toga2.client_uuid", "expected a UUID such as"),
        ({"toga2__client_uuid": None}, "toga2.client_uuid", "missing; add it"),
        ({"toga2": None}, "toga2", "missing; add it"),
        ({"toga2__integration_type": PASTED}, "toga2.integration_type", "'REPAIR_ORDERS'"),
        ({"toga2__max_in_flight": 0}, "toga2.max_in_flight", "a whole number, at least 1."),
        ({"toga2__max_in_flight": 65}, "toga2.max_in_flight", "a whole number, at most 64."),
        ({"toga2__max_in_flight": PASTED}, "toga2.max_in_flight", "expected a whole number."),
        ({"toga2__lag_seconds": 0}, "toga2.lag_seconds", "a whole number, at least 1."),
        ({"toga2__api_key": PASTED}, "toga2.api_key", "secrets come from the environment"),
        ({"togadesk__client_id": 0}, "togadesk.client_id", "a whole number, at least 1."),
        ({"togadesk__client_id": None}, "togadesk.client_id", "missing; add it"),
        ({"togadesk__ticket_department_id": -1}, "togadesk.ticket_department_id", "at least 1"),
        ({"togadesk__monitored_department_ids": []}, "monitored_department_ids", "at least 1"),
        ({"togadesk__monitored_department_ids": ["x"]}, "department_ids.0", "a whole number."),
        ({"togadesk__timezone": PASTED}, "togadesk.timezone", "America/Chicago"),
        ({"togadesk__timezone": "../../etc/passwd"}, "togadesk.timezone", "America/Chicago"),
        ({"togadesk__timezone": ""}, "togadesk.timezone", "America/Chicago"),
        ({"custom_field_prefix": PASTED}, "custom_field_prefix", "c_"),
        ({"custom_field_prefix": "c_elite\n"}, "custom_field_prefix", "c_"),
        ({"flows__contcats": True}, "flows.contcats", "unknown field"),
        ({"flows__contacts": PASTED}, "flows.contacts", "expected true or false."),
        ({"colour": PASTED}, "colour", "unknown field"),
        ({"toga2": PASTED}, "toga2", "expected a section"),
        ({"togadesk__monitored_department_ids": PASTED}, "department_ids", "expected a list."),
        ({"toga2__status_map": PASTED}, "toga2.status_map", "expected a section"),
        ({"toga2__status_map": {"NEW": ""}}, "toga2.status_map.NEW", "not empty"),
        ({"toga2__status_map": {"NEW": "  "}}, "toga2.status_map.NEW", "not empty"),
        ({"toga2__status_map": {"NEW": " Open"}}, "toga2.status_map.NEW", "without blanks"),
        ({"toga2__status_map": {"NEW": "Open\nClosed"}}, "toga2.status_map.NEW", "one line"),
        ({"toga2__status_map": {"NEW": "x" * 51}}, "toga2.status_map.NEW", "at most 50 characters"),
        ({"toga2__status_map": {"NEW": 5}}, "toga2.status_map.NEW", "needs quotes around it."),
        ({"toga2__status_map": {"": "Open"}}, "toga2.status_map", "its names: expected text"),
        (
            {"toga2__status_map": {True: "Open"}},
            "toga2.status_map",
            "one of its names: expected text",
        ),
        ({"toga2__priority_map": {"LOW": ""}}, "toga2.priority_map.LOW", "not empty"),
        ({"toga2__priority_map": {"LOW": "y" * 51}}, "toga2.priority_map.LOW", "at most 50"),
        (
            {"freshservice": {"base_url": PASTED, "webhook_action": "Elite/Webhook"}},
            "freshservice.base_url",
            "expected an address such as https://",
        ),
        (
            {"freshservice": {"base_url": "https://x.example", "webhook_action": ""}},
            "freshservice.webhook_action",
            "expected text, and it is empty.",
        ),
        ({"flows__freshservice_to_toga2": True}, "flows.freshservice_to_toga2", "switch the flow"),
        ({"checks": {"quiet_hours": 0}}, "checks.quiet_hours", "a whole number, at least 1."),
        ({"checks": {"quiet_hours": PASTED}}, "checks.quiet_hours", "expected a whole number."),
        ({"checks": {"call_log_losses": -1}}, "checks.call_log_losses", "at least 0."),
        ({"checks": {"lag": 5}}, "checks.lag", "unknown field"),
        ({"checks": {"inbox_age_minutes": 1e9}}, "checks.inbox_age_minutes", "at most 527040."),
        ({"checks": PASTED}, "checks", "expected a section"),
    ],
)
def test_a_mistake_names_client_field_and_what_was_expected(
    changes: dict[str, Any], field: str, expected: str
) -> None:
    said = problem_of(**changes)
    assert said.startswith("r.yaml: client 'elite': ")
    assert field in said
    assert expected in said
    assert PASTED not in said
    # a sentence of ours, not one of the validator's
    assert said.endswith(".")
    assert "Input should" not in said
    assert "Value error" not in said


def test_several_mistakes_of_one_client_stand_on_a_line_each() -> None:
    made = registry(elite=entry(togadesk__client_id=None, colour="blue", toga2__lag_seconds=0))
    first, second, third = made.problems["elite"].splitlines()
    assert first == (
        "r.yaml: client 'elite': toga2.lag_seconds: expected a whole number, at least 1."
    )
    assert second == "r.yaml: client 'elite': togadesk.client_id: missing; add it."
    assert third.startswith("r.yaml: client 'elite': colour: unknown field; remove it")


def test_a_value_of_the_clients_own_may_be_mapped_as_long_as_the_column_holds_it() -> None:
    longest = "W" * 50
    client = registry(
        elite=entry(toga2__status_map={"ON_HOLD": longest}, toga2__priority_map={"VIP": "High"})
    ).get("elite")
    assert client.status_map["ON_HOLD"] == longest
    assert client.status_map["NEW"] == "Open"
    assert client.priority_map["VIP"] == "High"


@pytest.mark.parametrize("broken", [None, [], "text", 7])
def test_an_entry_of_another_kind_breaks_that_client_alone(broken: object) -> None:
    made = registry(elite=broken, wje=entry(2))
    assert "toga2: missing" in made.problems["elite"]
    assert made.get("wje").name == "wje"


@pytest.mark.parametrize("name", ["Elite", "2fast", "a--b", "a_b", "a b", "-a", "élite", ""])
def test_a_name_that_cannot_be_a_partition_is_refused(name: str) -> None:
    text = yaml.safe_dump({"clients": {name: entry(), "wje": entry(2)}})
    made = parse_registry(text, source="r.yaml")
    assert "lower-case letters and digits" in made.problems[name]
    assert made.get("wje").name == "wje"


def test_a_name_that_yaml_reads_as_something_else_is_named_too() -> None:
    made = parse_registry("clients: {no: {}, 7: {}}", source="r.yaml")
    assert set(made.problems) == {"False", "7"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"togadesk__client_id": 1}, "togadesk.client_id"),
        ({"toga2__client_uuid": "00000000-0000-4000-8000-000000000001"}, "toga2.client_uuid"),
    ],
)
def test_two_clients_that_are_one_and_the_same_somewhere_are_both_unusable(
    changes: dict[str, Any], field: str
) -> None:
    made = registry(elite=entry(1), wje=entry(2, **changes), other=entry(3))
    assert set(made.problems) == {"elite", "wje"}
    assert field in made.problems["elite"]
    assert "wje has the same" in made.problems["elite"]
    assert "elite has the same" in made.problems["wje"]
    assert made.get("other").name == "other"


def test_every_client_is_a_partition_the_broken_ones_included() -> None:
    made = registry(wje=entry(2), elite=entry(colour="blue"))
    assert made.names == ("wje", "elite")


def test_an_unknown_client_is_answered_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"no client 'acme'; it has: elite, wje"):
        registry(elite=entry(), wje=entry(2)).get("acme")


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("clients:\n  elite: {}\n  wje: {}\n  elite: {}\n", 4, "elite"),
        ("clients:\n  elite:\n    flows: {contacts: true, contacts: false}\n", 3, "contacts"),
        ("clients: {}\nclients: {}\n", 2, "clients"),
    ],
)
def test_a_key_that_stands_twice_is_an_error_where_it_stands(
    text: str, line: int, key: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"r.yaml at line {line}: the key '{key}'"):
        parse_registry(text, source="r.yaml")


def test_entries_may_share_what_they_have_in_common() -> None:
    text = dedent("""
        x-common: &common {timezone: America/Chicago, ticket_department_id: 4}
        clients:
          elite:
            toga2: {client_uuid: 00000000-0000-4000-8000-000000000001}
            togadesk: {<<: *common, client_id: 1, ticket_department_id: 9}
            custom_field_prefix: c_elite
    """)
    client = parse_registry(text, source="r.yaml").get("elite")
    assert client.togadesk.timezone == "America/Chicago"
    assert client.togadesk.ticket_department_id == 9


def test_what_stands_beside_the_clients_is_refused_by_name() -> None:
    text = "clients: {elite: {}}\nwje: {}\nclinets: {}\nx-shared: {}\n"
    with pytest.raises(ConfigurationError) as caught:
        parse_registry(text, source="r.yaml")
    first, second = str(caught.value).splitlines()
    assert first.startswith("r.yaml: unknown key 'wje' beside 'clients', the only one known there")
    assert second.startswith("r.yaml: unknown key 'clinets'")


@pytest.mark.parametrize(
    "text",
    ["", "clients:", "clients: []", "clients: {}", "- clients", "elite: {}", "just text"],
)
def test_a_file_without_clients_says_what_was_expected(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"r\.yaml: expected a mapping 'clients:'"):
        parse_registry(text, source="r.yaml")


@pytest.mark.parametrize(
    "text",
    ["clients: {", "clients:\n\t- x", "a: b: c", "clients: *nowhere", "clients: !!python/none x"],
)
def test_what_is_not_yaml_is_one_message_with_its_place(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^r\.yaml at line \d+: .*Mend the YAML"):
        parse_registry(text, source="r.yaml")


def test_a_missing_file_names_itself_and_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_registry(tmp_path / "absent.yaml")
    assert "absent.yaml" in str(caught.value)
    assert "No such file" in str(caught.value)
    assert "ELITE_PIPELINE_CLIENTS" in str(caught.value)


def test_a_file_that_is_not_text_and_a_folder_are_named(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00c")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load_registry(binary)
    with pytest.raises(ConfigurationError, match="directory"):
        load_registry(tmp_path)


def test_the_example_that_ships_is_right() -> None:
    example = Path(__file__).parents[2] / "clients.example.yaml"
    made = load_registry(example)
    assert made.problems == {}
    assert "elite" in made.names


def freshservice(address: str, action: str) -> dict[str, Any]:
    return {"freshservice__base_url": address, "freshservice__webhook_action": action}


@pytest.mark.parametrize(
    ("address", "action", "field"),
    [
        ("https://b.freshservice.com", "elite/webhook", "freshservice.webhook_action"),
        ("https://A.freshservice.com/", "Wje/Webhook", "freshservice.base_url"),
        ("https://a.freshservice.com:443", "Wje/Webhook", "freshservice.base_url"),
    ],
)
def test_two_clients_do_not_share_a_freshservice(address: str, action: str, field: str) -> None:
    made = registry(
        elite=entry(**freshservice("https://a.freshservice.com", "Elite/Webhook")),
        wje=entry(2, **freshservice(address, action)),
        third=entry(3, **freshservice("https://c.freshservice.com", "Third/Webhook")),
    )
    assert list(made.clients) == ["third"]
    assert made.problems["wje"] == (
        f"r.yaml: client 'wje': {field}: expected a value of its own, but elite has the same one."
    )
    assert set(made.problems) == {"elite", "wje"}
