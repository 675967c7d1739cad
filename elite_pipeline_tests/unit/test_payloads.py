"""Which ticket a webhook's body is about, in every form that one comes in."""

import json
import random
import re
import tracemalloc

import pytest

from elite_pipeline.freshservice.payloads import PayloadError, ticket_id_of

WELL_FORMED = [
    '{"ticket_id": 5}',
    '{"id": 5}',
    '{"id_numeric": "5"}',
    '{"id": "INC-5"}',
    '{"id": "#INC-5"}',
    '{"ticket_id": "SR-5"}',
    '{"ticket_id": "#5"}',
    '{"ticket_id": " inc-0005 "}',
    '{"ticket_id": 5.0}',
    '{"ticketId": "HR-5"}',
    '{"freshservice_webhook": {"ticket_id": "INC-5", "ticket_subject": "x"}}',
    '{"freshdesk_webhook": {"id": 5}}',
    '{"freshservice_webhook": {"ticket": {"id": 5}}}',
    '{"ticket": {"id": 5, "requester": {"id": 7}}}',
    '{"ticket": "INC-5"}',
    '{"ticket": 5}',
    '[{"ticket_id": 5}]',
    "5",
    '"5"',
    "INC-5",
    '\ufeff{"ticket_id": 5}\r\n\0',
    json.dumps(json.dumps({"ticket_id": 5})),
    '{"ticket": "{\\"id\\": 5}"}',
]
CLEARER = [
    '{"id": 99, "ticket_id": 5}',
    '{"id": 99, "id_numeric": 5}',
    '{"id": 99, "ticket": {"id": 5}}',
    '{"id": 99, "freshservice_webhook": {"id": 5}}',
    '{"ticket_id": 5, "ticket": {"id": 6}}',
    '{"ticket_id": null, "id": 5}',
    '{"ticket_id": "{{ticket.id}}", "id_numeric": 5}',
    '{"ticket_id": 5, "id": 21000123456}',
    '{"ticket_id": 5, "ticket_id": "INC-5"}',
]
BROKEN = [
    '{"ticket_id": 5, "subject": "Printer "HP" broken", "requester": {"id": 7}}',
    '{"subject": "Printer "HP" broken", "ticket_id": 5}',
    '{"subject": "He said "hi"", "id": "INC-5"}',
    '{"subject": "say "yes", then no", "id": 5}',
    '{"subject": "say "yes", then no", "requester": {"id": 7}, "id": 5}',
    '{"subject": "see "id": 99, thanks", "id": 5}',
    '{"subject": "19" monitor", "id": 5}',
    '{"subject": "first\nsecond", "id": 5}',
    '{"subject": "first\r\n"second" third",\r\n "id": 5}',
    '{"subject": "C:\\", "ticket_id": 5}',
    '{"subject": "a } b "x" ", "id": 5}',
    '{"subject": "{"broken"", "ticket_id": 5}',
    '{"requester": {"name": "a "b"", "id": 7}, "id": 5}',
    '{"ticket": {"requester": {"id": 7, "name": "O"Neil"}, "id": 5}}',
    '{"freshservice_webhook": {"subject": "He said "hi"", "ticket_id": "INC-5"}}',
    '{"ticket_id": "5", "description": "<a href="x">y</a>", "requester_id": 7}',
    '{"ticket_id": INC-5, "subject": "x"}',
    '{"ticket_id": #SR-5}',
    '{"id": ""5"", "subject": "x"}',
    '{"ticket_id": 5,}',
    '{"ticket_id": 5, "subject": "cut of',
    "{'ticket_id': '5'}",
    "{ticket_id: 5}",
    '{"a": \\x, "ticket_id": 5}',
]
OTHER_FORMS = [
    "ticket_id=INC-5&subject=a%20b%26id%3D7",
    "freshdesk_webhook[ticket_id]=5&x=1",
    "freshservice_webhook%5Bid%5D=5",
    "<hash><ticket-id>5</ticket-id><requester><id>7</id></requester></hash>",
    '<?xml version="1.0"?><ticket><id type="integer">5</id><subject>a <b> c & d</subject></ticket>',
    "<freshdesk-webhook><subject><![CDATA[<ticket_id>9]]></subject><ticket_id>INC-5</ticket_id></freshdesk-webhook>",
    "<ticket><requester><id>7</id></requester><id>5</id></ticket>",
    "Ticket INC-5 was updated",
    "subject: x\nticket_id: 5\n",
]


@pytest.mark.parametrize("payload", [*WELL_FORMED, *CLEARER, *BROKEN, *OTHER_FORMS])
def test_the_ticket_is_read_out_of_every_form(payload: str) -> None:
    assert ticket_id_of(payload) == 5


@pytest.mark.parametrize(
    "payload",
    [
        "",
        " \0\n",
        "{}",
        "[]",
        "null",
        "true",
        "hello",
        '{"id": true}',
        '{"ticket_id": null}',
        '{"ticket_id": 0}',
        '{"ticket_id": -5}',
        '{"ticket_id": 1e5}',
        '{"ticket_id": 5.5}',
        '{"id": "\u0665"}',
        '{"ticket_id": "{{ticket.id}}"}',
        # somebody else's number
        '{"id": 21000123456}',
        '{"requester": {"id": 7}}',
        '{"conversations": [{"id": 5}]}',
        '{"related": {"ticket_id": 5}}',
        '{"id": "CHN-5"}',
        '{"id": "#PRB-5"}',
        '{"id": "A5"}',
        # a number in a text
        '{"subject": "ticket_id 5, INC-5"}',
        '{"subject": "ticket_id": 5 x"}',
        '{"subject": "see "INC-5" there", "requester": {"id": 5}}',
        '{"subject": "x "ticket_id: 5" y", "b": 1}',
        "<ticket><subject><ticket_id>5</ticket_id></subject></ticket>",
        "<a><requester><id>7</id></requester></a>",
        "subject=INC-5&requester[id]=7",
        # which of them?
        '{"ticket_id": 5, "ticket_id": 6}',
        '[{"ticket_id": 5}, {"ticket_id": 6}]',
        '{"ticket_id": 5, "x": "a "b"", "ticket_id": 6}',
        "INC-5 follows up on INC-6",
    ],
)
def test_rather_none_than_a_wrong_one(payload: str) -> None:
    with pytest.raises(PayloadError) as caught:
        ticket_id_of(payload)
    assert caught.value.kind == "permanent"


def test_the_reason_says_what_to_do_and_quotes_nobody() -> None:
    with pytest.raises(PayloadError, match=r"ticket_id.*Workflow Automator") as caught:
        ticket_id_of('{"subject": "my password is hunter2"}')
    assert "hunter2" not in str(caught.value)
    with pytest.raises(PayloadError, match=r"2 ticket ids .*\(5, 6\)"):
        ticket_id_of('{"ticket_id": 5, "ticket_id": 6}')


@pytest.mark.parametrize("seed", range(300))
def test_whatever_is_pasted_into_a_text_the_number_is_found_or_none(seed: int) -> None:
    """A subject of any characters breaks what it likes; another number is not taken."""
    dice = random.Random(seed)
    alphabet = [
        '"',
        "\\",
        "\n",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "'",
        "a",
        "INC-9",
        "9",
        " ",
        '"id": ',
    ]
    subject = "".join(dice.choice(alphabet) for _ in range(dice.randrange(1, 12)))
    parts = [
        f'"subject": "{subject}"',
        '"ticket_id": "INC-5"',
        '"requester": {"name": "Ada", "id": 7}',
    ]
    dice.shuffle(parts)
    try:
        found = ticket_id_of("{" + ", ".join(parts) + "}")
    except PayloadError:
        # its own key may have become a part of the text; but hardly ever
        assert re.search(r'["\\{\[]', subject)
    else:
        assert found == 5


HOSTILE = {
    "quotes": '"' * 200_000,
    "escapes": '{"a":' + '\\"' * 100_000,
    "braces": "{" * 200_000,
    "brackets": "[" * 200_000,
    "tags": "<a" * 100_000,
    "elements": "<a>" * 70_000,
    "cdata": "<![CDATA[" * 20_000,
    "blanks": '{"a"' + " " * 200_000 + "x",
    "digits": "1" * 200_000,
    "broken keys": '{"a"b":{' * 25_000,
    "keys": '{"a":1 ' + ',"id":5' * 30_000,
    "fields": "a=b&" * 50_000,
    "half": '{"\ud800": ',
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_made_to_hang_takes_no_longer_than_it_is_long(name: str) -> None:
    tracemalloc.start()
    try:
        ticket_id_of(HOSTILE[name])
    except PayloadError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 200 * len(HOSTILE[name]) + 1_000_000
