"""Secrets do not get through, and ordinary text does."""

import base64
import random

import pytest

from elite_pipeline.transport import REDACTED, Redactor, redaction

KEY = "0f8fad5b-d9cb-469f-a165-70867728950e"
SECRET = "s3cr$t.(*)[x]"


@pytest.fixture
def redact() -> Redactor:
    return Redactor.for_basic_auth(KEY, SECRET, ["database-password", "abc"])


@pytest.mark.parametrize(
    "text",
    [
        f"key {KEY} was refused",
        f"{SECRET}",
        f"a{SECRET}{SECRET}b",
        "Authorization: Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode(),
        base64.b64encode(f"{KEY}:{SECRET}".encode()).decode(),
        "connection with database-password failed",
        "mysql://user:database-password@host/db",
    ],
)
def test_a_known_secret_is_replaced_wherever_it_stands(redact: Redactor, text: str) -> None:
    said = redact(text)
    assert REDACTED in said
    for secret in (
        KEY,
        SECRET,
        "database-password",
        base64.b64encode(f"{KEY}:{SECRET}".encode()).decode(),
    ):
        assert secret not in said


def test_a_secret_within_another_does_not_save_the_rest_of_it() -> None:
    assert Redactor(["pass", "password-long"])("password-long") == REDACTED


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mysql://joe:unknown@host/db", f"mysql://joe:{REDACTED}@host/db"),
        (r"mysql:\/\/joe:unknown@host\/db", rf"mysql:\/\/joe:{REDACTED}@host\/db"),
        ("https://:tok@host", f"https://:{REDACTED}@host"),
        ("Authorization: Bearer abcdef0123456789", f"Authorization: Bearer {REDACTED}"),
        (
            "https://h/f?X-Amz-Credential=A%2Fb&X-Amz-Signature=0f8f&x=1",
            f"https://h/f?X-Amz-Credential={REDACTED}&X-Amz-Signature={REDACTED}&x=1",
        ),
        ("authorization: basic dXNlcjpwYXNzd29yZA==", f"authorization: basic {REDACTED}"),
        (
            "https://h/a.png?Expires=1781078400&Signature=0f8f~&x=1",
            f"https://h/a.png?Expires={REDACTED}&Signature={REDACTED}&x=1",
        ),
        (
            "https://h/inline/attachment?token=abc123",
            f"https://h/inline/attachment?token={REDACTED}",
        ),
        (r"\"https://h/a?b=1\u0026token=abc\"", rf"\"https://h/a?b=1\u0026token={REDACTED}\""),
        ("to=https%3A%2F%2Fh%2Fa%3Ftoken%3Dabc", f"to=https%3A%2F%2Fh%2Fa%3Ftoken%3D{REDACTED}"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJpZCI6NH0.c2ln in a path", f"{REDACTED} in a path"),
    ],
)
def test_what_has_the_shape_of_a_secret_is_replaced_too(
    redact: Redactor, text: str, shown: str
) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "GET /tickets answered 503",
        "https://api.togahub.com/v2/tickets?where[_updated >]=2026-06-10 00:00:00",
        "mail ada@example.com about abc",
        "a basic fault",
        "at 10:30@home",
    ],
)
def test_ordinary_text_stays_as_it_is(redact: Redactor, text: str) -> None:
    assert redact(text) == text


def test_secrets_too_short_to_tell_from_text_are_left_alone() -> None:
    assert Redactor(["", "a", "abc"])("abc and a") == "abc and a"


@pytest.mark.parametrize(
    "spelled",
    [
        r"p\u00e4\u003cs\/&", r"p\u00E4\u003Cs\/\u0026", r"p\u00e4<s/&", r"p\\u00e4<s\\\/&",
        "p%C3%A4%3Cs%2F%26", "p%c3%a4%3cs%2f%26", "p%25C3%25A4%253Cs%252F%2526", "pä&lt;s/&amp;",
    ],
)  # fmt: skip
def test_a_secret_is_known_as_others_spell_it(spelled: str) -> None:
    assert Redactor(["pä<s/&"])(f"x{spelled}x") == f"x{REDACTED}x"


@pytest.mark.parametrize("quote", ["'", "&#039;", "&#39;", "&#x27;", "&apos;"])
def test_quotes_in_html_have_many_spellings(quote: str) -> None:
    assert Redactor(['it\'s "so"'])(f"x it{quote}s &quot;so&quot; x") == f"x {REDACTED} x"


def test_an_address_before_an_e_mail_address_is_no_password(redact: Redactor) -> None:
    for text in ('{"url":"https://h","mail":"joe@x"}', '{"url":"http://h:80","mail":"joe@x"}'):
        assert redact(text) == text


def test_what_is_not_searched_for_a_pattern_has_none() -> None:
    """A quick look at a text decides which patterns are worth searching for: it may not miss one."""
    dice = random.Random(0)
    pieces = (
        "://", r":\/\/", "user:secret@", "?", "&", "=", "%3D", "%3d", "Signature", "token", "EXPIRES",
        "x-amz-security-token", "Basic ", "bearer\t", "a" * 9, "eyJ" + "b" * 9, ".", ".", "\"", " ",
    )  # fmt: skip
    redact = Redactor()
    for _ in range(5_000):
        text = "".join(dice.choices(pieces, k=dice.randint(1, 9)))
        expected = redaction._URL_PASSWORD.sub(rf"\1:{REDACTED}@", text)
        expected = redaction._AUTHORIZATION.sub(rf"\1 {REDACTED}", expected)
        expected = redaction._SIGNATURE.sub(rf"\1{REDACTED}", expected)
        expected = redaction._JSON_WEB_TOKEN.sub(REDACTED, expected)
        assert redact(text) == expected, text
