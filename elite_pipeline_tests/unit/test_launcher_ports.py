"""What the demo says about its ports before it starts anything."""

import socket
from collections.abc import Iterator

import pytest

from elite_pipeline.errors import ConfigurationError
from elite_pipeline.launcher.ports import LOOPBACK, Port, check_ports, read_port


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.socket() as server:
        server.bind((LOOPBACK, 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_taken_port_is_one_line_with_the_variable_to_set(listening: int) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_ports([Port("DAGSTER_PORT", "Dagster's page", listening)])
    message = str(caught.value)
    assert message.startswith(
        f"Port {listening} for Dagster's page is taken: set DAGSTER_PORT to a free one, "
        "e.g. DAGSTER_PORT="
    )
    assert "\n" not in message
    suggested = int(message.rpartition("=")[2].rstrip("."))
    check_ports([Port("DAGSTER_PORT", "Dagster's page", suggested)])


def test_a_port_that_another_address_listens_on_is_taken_too() -> None:
    with socket.socket() as server:
        server.bind(("0.0.0.0", 0))
        server.listen()
        with pytest.raises(ConfigurationError, match="is taken"):
            check_ports([Port("TOGA2_PORT", "TOGA 2", server.getsockname()[1])])


def test_one_port_for_two_purposes_names_both_variables() -> None:
    ports = [Port("DAGSTER_PORT", "Dagster's page", 3000), Port("TOGA2_PORT", "TOGA 2", 3000)]
    with pytest.raises(ConfigurationError, match="DAGSTER_PORT and TOGA2_PORT are both 3000"):
        check_ports(ports)


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1", "3000.5", "٣٠٠٠"])
def test_a_variable_that_is_no_port_is_named(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TOGA2_PORT", text)
    with pytest.raises(ConfigurationError, match="TOGA2_PORT: expected a port from 1 to 65535"):
        read_port("TOGA2_PORT", "TOGA 2", 8002)


@pytest.mark.parametrize(("text", "number"), [("", 8002), (" 9000 ", 9000)])
def test_a_port_comes_from_its_variable_or_the_default(
    monkeypatch: pytest.MonkeyPatch, text: str, number: int
) -> None:
    monkeypatch.setenv("TOGA2_PORT", text)
    assert read_port("TOGA2_PORT", "TOGA 2", 8002).number == number
