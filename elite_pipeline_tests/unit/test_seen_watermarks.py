"""The cursor of ``ticket_watermarks``: what people may write into it, and what they are told."""

from datetime import UTC, datetime

import pytest

from elite_pipeline.errors import ConfigurationError
from elite_pipeline.sync.seen_watermarks import format_seen, parse_seen

NOW = datetime(2026, 6, 10, 8, 0, tzinfo=UTC)
ONE = datetime(2026, 6, 9, 7, 30, 5, tzinfo=UTC)
TWO = datetime(2026, 6, 1, tzinfo=UTC)


def parse(text: str | None) -> dict[str, dict[str, datetime]]:
    return parse_seen(text, clients=("elite", "wje"), known=("gone",), now=NOW)


def test_what_is_written_is_read_back_and_people_can_read_it() -> None:
    seen = {
        "wje": {"togadesk_to_toga2": TWO},
        "elite": {"togadesk_to_toga2": TWO, "toga2_to_togadesk": ONE},
        "new": {},
    }
    text = format_seen(seen)
    assert text == (
        '{"elite": {"toga2_to_togadesk": "2026-06-09 07:30:05", '
        '"togadesk_to_toga2": "2026-06-01 00:00:00"},\n'
        ' "wje": {"togadesk_to_toga2": "2026-06-01 00:00:00"}}'
    )
    assert parse(text) == {name: marks for name, marks in seen.items() if marks}


@pytest.mark.parametrize("text", [None, "", " \n", "{}"])
def test_no_cursor_yet(text: str | None) -> None:
    assert parse(text) == {}


def test_client_that_has_left_the_registry_is_no_mistake() -> None:
    text = '{"gone": {"toga2_to_togadesk": "2026-06-09 07:30:05"}, "elite": {}}'
    assert parse(text) == {"elite": {}}


def test_nothing_is_older_than_the_beginning() -> None:
    parsed = parse('{"elite": {"toga2_to_togadesk": "1970-01-01 00:00:00"}}')
    assert parsed == {"elite": {"toga2_to_togadesk": datetime(2000, 1, 1, tzinfo=UTC)}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tomorrow", "not valid JSON (Expecting value, line 1, column 1)"),
        ('{"elite": {', "not valid JSON"),
        ("[1]", "not an object of clients"),
        ("[" * 100_000, "nested too deeply"),
        ('{"elit": {}}', 'no client "elit"; there are: elite, wje'),
        ('{"elite": "2026-06-09 00:00:00"}', "elite: expected an object of directions"),
        (
            '{"elite": {"toga2": "2026-06-09 00:00:00"}}',
            'elite: there is no direction "toga2"; there are: toga2_to_togadesk, togadesk_to_toga2',
        ),
        (
            '{"elite": {"toga2_to_togadesk": "2026-06-09T00:00:00"}}',
            'elite, toga2_to_togadesk: "2026-06-09T00:00:00" is not a time; write it as YYYY-MM-DD',
        ),
        ('{"elite": {"toga2_to_togadesk": "2026-06-31 00:00:00"}}', "is not a time"),
        ('{"elite": {"toga2_to_togadesk": 7}}', "7 is not a time"),
        ('{"elite": {"toga2_to_togadesk": "2062-06-09 00:00:00"}}', "lies in the future"),
        ('{"elite": {}, "elite": {}}', '"elite" stands twice'),
    ],
)
def test_whatever_is_mistyped_is_one_message_that_says_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    message = str(caught.value)
    assert said in message
    assert 'It looks like {"elite": {"toga2_to_togadesk": "2026-06-10 00:00:00"}}' in message
    assert "Nothing was moved" in message
    assert "\n" not in message
