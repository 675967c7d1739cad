"""What a failing check says: Markdown for the page, in which text from outside stays text."""

from datetime import UTC, datetime

from elite_pipeline.defs.checks import no_dead_letters_result
from elite_pipeline.defs.markdown import literal
from elite_pipeline.ledger import DeadLetter
from elite_pipeline.sync.results import FlowResult, Letters

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)
HOSTILE = "![seen](http://evil.example/x.png) <img src=x> **bold**\n\n# Heading `code`"


def letter(record: str, error: str) -> DeadLetter:
    return DeadLetter(
        client="elite",
        flow="contacts",
        entity="c1",
        record=record,
        kind="permanent",
        error=error,
        attempts=1,
        first_failed=NOON,
        last_failed=NOON,
        next_attempt=None,
        updated=NOON,
    )


def test_reasons_are_a_list_and_the_command_to_run_is_code() -> None:
    letters = (letter("c1", "no e-mail"), letter("note 2", HOSTILE))
    result = FlowResult(
        client="elite", flow="contacts", dead_letters=Letters(1, 1, NOON, letters), failed=2
    )

    said = no_dead_letters_result(result).description or ""

    assert said.split("\n\n") == [
        (
            "elite: dead letters: 1 waiting for a later run, 1 parked, for a person to look at; "
            "the oldest since 2026-06-10 12:00:00 UTC."
        ),
        "- c1 (permanent): no e-mail\n- note 2 of c1 (permanent): " + literal(HOSTILE),
        "See them with: `elite-pipeline dead-letters list --client elite --flow contacts`",
    ]


def test_nothing_from_outside_begins_anything_in_markdown() -> None:
    assert literal(HOSTILE) == (
        r"!\[seen\](http://evil.example/x.png) \<img src=x\> \*\*bold\*\*"
        "  \n"
        r"\# Heading \`code\`"
    )


def test_what_is_written_in_plain_words_stays_as_it_is() -> None:
    said = "toga2_to_togadesk: 3 - 1 & 2. See: elite-pipeline verify --client elite #1"
    assert literal(said) == said
    assert literal("1. first\n- second") == "1\\. first  \n\\- second"
