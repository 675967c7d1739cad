import pytest

from elite_pipeline.errors import PermanentError
from elite_pipeline.togadesk.failures import ValueDoesNotFitError
from elite_pipeline.togadesk.text import TextLimits, fit, held

WIDE = TextLimits("utf8mb4", 255, None)
NARROW = TextLimits("utf8mb3", 255, None)
LATIN1 = TextLimits("latin1", 255, None)
UNKNOWN = TextLimits("ascii", 255, None)
#: What Windows-1252 leaves undefined.
MYSQL_ALONE = "\x81\x8d\x8f\x90\x9d"


@pytest.mark.parametrize(
    ("limits", "text", "expected"),
    [
        (WIDE, "I 😀 שלום č €", "I 😀 שלום č €"),
        (NARROW, "I 😀 שלום č €", "I &#128512; שלום č €"),
        (LATIN1, "I 😀 č €", "I &#128512; &#269; €"),
        (LATIN1, "漢 ÿ \x81 \x80", "&#28450; ÿ \x81 &#128;"),
        (UNKNOWN, "é", "&#233;"),
        (NARROW, "\uffff\U00010000", "\uffff&#65536;"),
        (NARROW, " a\r\n\x00b  ", " a\r\n\x00b  "),
        (NARROW, "", ""),
    ],
)
def test_what_the_charset_lacks_becomes_a_reference(
    limits: TextLimits, text: str, expected: str
) -> None:
    assert fit(text, limits, "t.c") == expected


def test_latin1_holds_what_windows_and_mysql_say() -> None:
    for character in map(chr, [*range(0xD800), *range(0xE000, 0x11000)]):
        is_held = bool(character.encode("cp1252", errors="ignore")) or character in MYSQL_ALONE
        assert held(character, "latin1") == (character if is_held else f"&#{ord(character)};")


def test_fitting_twice_changes_nothing_more() -> None:
    once = fit("😀 & &#128512; 漢", LATIN1, "t.c")
    assert fit(once, LATIN1, "t.c") == once


@pytest.mark.parametrize("half", ["\ud83d", "a\udc00b"])
def test_half_of_a_surrogate_pair_is_refused(half: str) -> None:
    with pytest.raises(ValueDoesNotFitError, match=r"people\.name.*not valid Unicode"):
        fit(half, WIDE, "people.name")


def test_a_text_that_is_too_long_is_refused_by_characters() -> None:
    assert fit("ü" * 255, NARROW, "t.c") == "ü" * 255
    with pytest.raises(ValueDoesNotFitError, match=r"t\.c has 256 characters.*holds 255"):
        fit("ü" * 256, NARROW, "t.c")


def test_the_length_counts_after_encoding() -> None:
    with pytest.raises(ValueDoesNotFitError, match="has 263 characters"):
        fit("x" * 254 + "😀", NARROW, "t.c")


@pytest.mark.parametrize(
    ("charset", "longest", "too_long"),
    [
        ("utf8mb4", "漢" * 21_845, "漢" * 21_846),
        ("utf8mb3", "x" * 65_535, "x" * 65_534 + "é"),
        ("latin1", "é" * 65_535, "é" * 65_536),
    ],
)
def test_a_text_that_is_too_long_is_refused_by_bytes(
    charset: str, longest: str, too_long: str
) -> None:
    limits = TextLimits(charset, None, 65_535)
    assert fit(longest, limits, "t.c") == longest
    with pytest.raises(ValueDoesNotFitError, match="bytes and the column holds 65535"):
        fit(too_long, limits, "t.c")


def test_the_message_never_quotes_the_text() -> None:
    with pytest.raises(PermanentError) as caught:
        fit("hush" * 100, WIDE, "t.c")
    assert "hush" not in str(caught.value)
