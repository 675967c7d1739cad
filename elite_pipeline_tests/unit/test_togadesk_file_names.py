"""What files are called in the helpdesk."""

import random
import re
import unicodedata

import pytest

from elite_pipeline.togadesk import TextLimits
from elite_pipeline.togadesk.file_names import (
    MOST_BYTES,
    UNNAMED,
    real_name,
    shown_name,
    stored_name,
)

LEGACY = TextLimits("utf8mb3", 255, None)
LATIN1 = TextLimits("latin1", 255, None)
MODERN = TextLimits("utf8mb4", 255, None)
SHORT = TextLimits("utf8mb4", 40, None)
BY_BYTES = TextLimits("utf8mb4", None, 60)
ALL = (LEGACY, LATIN1, MODERN, SHORT, BY_BYTES)

RUNNABLE = re.compile(
    r"(?:ph(?:p|t|ar).*|cgi|pl|py|sh|aspx?|jsp|shtml|htaccess|htpasswd|ini)(?![a-z0-9])"
)

#: What hostile names are made of.
PIECES = [
    *["/", "\\", "..", ".", "\0", "\n", "\r\n", "\t", "\x1b[2J", "\x7f", "\x85", "\u2028"],
    *["\u202e", "\u2066", "\ufeff", "\ud83d", " ", "\u00a0", "\U0001f600", "e\u0301"],
    *["\u0645\u0644\u0641", "%00", "%2f", "'", '"', "<b>", ";", "$(id)", "CON", "nul", "0"],
    *["image001", "x" * 90, "\u00e9" * 130, "\U0001f600" * 70, ".php", ".PhP5", ".pHtml", ".phar"],
    *[".htaccess", ".user.ini", ".jpg", ".tar.gz", ".txt", ".p\0hp", ".php ", "php", ".py-old"],
    ".\uff50\uff48\uff50",
]


def random_names(count: int) -> list[str]:
    dice = random.Random(20261124)
    return ["".join(dice.choices(PIECES, k=dice.randrange(9))) for _ in range(count)]


NAMES = [*PIECES, *random_names(3000)]


@pytest.mark.parametrize("limits", ALL, ids=str)
def test_a_shown_name_is_only_a_name_and_its_own_shown_name(limits: TextLimits) -> None:
    for name in NAMES:
        shown = shown_name(name, limits)
        assert shown.strip() == shown
        assert shown.strip(". ")
        assert not re.search("[/\\\\\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]", shown)
        assert not any(unicodedata.category(character) == "Cc" for character in shown)
        assert limits.max_chars is None or len(shown) <= limits.max_chars
        assert limits.max_bytes is None or len(shown.encode()) <= limits.max_bytes
        assert shown_name(shown, limits) == shown


@pytest.mark.parametrize("limits", ALL, ids=str)
def test_a_stored_name_is_harmless(limits: TextLimits) -> None:
    for name in NAMES:
        stored = stored_name(4711, name, limits)
        assert stored == stored_name(4711, name, limits)
        assert stored.startswith("4711-")
        assert len(stored) > len("4711-")
        assert len(stored.encode()) <= min(MOST_BYTES, limits.ascii_chars)
        assert not re.search('[/\\\\<>:"|?*\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]', stored)
        assert ".." not in stored
        assert stored[-1] not in ". "
        for ending in stored.split(".")[1:]:
            assert not RUNNABLE.match(unicodedata.normalize("NFKC", ending).casefold().strip())


@pytest.mark.parametrize(
    "name",
    [
        "image001.png",
        "Bericht Mai.pdf",
        "résumé.docx",
        "ملف.pdf",
        "a.tar.gz",
        "Q&A #1 50%.txt",
        "x",
    ],
)
def test_an_ordinary_name_stays_as_it_is(name: str) -> None:
    assert shown_name(name, LEGACY) == name
    assert stored_name(12, name, LEGACY) == f"12-{name}"


@pytest.mark.parametrize(
    ("name", "shown", "stored"),
    [
        ("../../etc/passwd", ".._.._etc_passwd", "7-_._etc_passwd"),
        ("C:\\dir\\b.txt", "C:_dir_b.txt", "7-C__dir_b.txt"),
        ("a\r\nb\0.txt", "a b.txt", "7-a b.txt"),
        ("\u202egnp.exe", "gnp.exe", "7-gnp.exe"),
        ("a\ud83d.txt", "a\ufffd.txt", "7-a\ufffd.txt"),
        ("", UNNAMED, f"7-{UNNAMED}"),
        (" .. ", UNNAMED, f"7-{UNNAMED}"),
        ("a.php", "a.php", "7-a_php_.txt"),
        ("a.PhP5 ", "a.PhP5", "7-a_PhP5_.txt"),
        ("a.php.jpg", "a.php.jpg", "7-a_php_.jpg"),
        ("a.php.php.jpg", "a.php.php.jpg", "7-a_php__php_.jpg"),
        ("a.p\0hp", "a.php", "7-a_php_.txt"),
        ("a.php%00.jpg", "a.php%00.jpg", "7-a_php%00_.jpg"),
        ("a.php. .", "a.php. .", "7-a_php_.txt"),
        (".htaccess", ".htaccess", "7-htaccess"),
        ("x.htaccess", "x.htaccess", "7-x_htaccess_.txt"),
        (".user.ini", ".user.ini", "7-user_ini_.txt"),
        ("php", "php", "7-php"),
        ("my.php-info.html", "my.php-info.html", "7-my_php-info_.html"),
        ("Mr. P. Hp.txt", "Mr. P. Hp.txt", "7-Mr. P. Hp.txt"),
    ],
)
def test_a_hostile_name_is_made_harmless_and_stays_readable(
    name: str, shown: str, stored: str
) -> None:
    assert shown_name(name, MODERN) == shown
    assert stored_name(7, name, MODERN) == stored


def test_what_a_charset_lacks_is_shown_in_another_form() -> None:
    assert shown_name("ok 👍.png", LEGACY) == "ok &#128077;.png"
    assert stored_name(7, "ok 👍.png", LEGACY) == "7-ok _.png"
    assert stored_name(7, "ok 👍.png", MODERN) == "7-ok 👍.png"
    assert shown_name("ملف.pdf", LATIN1) == "&#1605;&#1604;&#1601;.pdf"


def test_a_long_name_is_cut_visibly_before_its_ending() -> None:
    shown = shown_name("x" * 300 + ".docx", LEGACY)
    assert shown == "x" * 247 + "[…].docx"
    assert stored_name(12, "x" * 300 + ".docx", LEGACY) == "12-" + "x" * 247 + ".docx"
    assert shown_name("x" * 300 + "." + "y" * 300, LEGACY).endswith("y[…]") is False
    assert shown_name("👍" * 300 + ".png", LEGACY).endswith(";[…].png")


def test_a_name_is_cut_between_characters() -> None:
    stored = stored_name(1, "é" * 255 + ".png", MODERN)
    assert stored == "1-" + "é" * 124 + ".png"
    assert len(stored.encode()) == 254


def test_what_is_left_of_a_long_name_does_not_become_a_program() -> None:
    for length in range(230, 260):
        stored = stored_name(1, "a" * length + ".phpx.jpg", MODERN)
        assert not re.search(r"\.php", stored)


@pytest.mark.parametrize(
    ("name", "file", "real"),
    [
        ("77-a.png", "77-a.png", "a.png"),
        ("a.png", "77-a.png", "a.png"),
        ("77-2024-report.pdf", "77-2024-report.pdf", "2024-report.pdf"),
        ("2024-report.pdf", "77-2024-report.pdf", "2024-report.pdf"),
        ("77-a.png", "77-77-a.png", "77-a.png"),
        ("2024-report.pdf", "2024-report.pdf", "2024-report.pdf"),
        ("", "77-a.png", "a.png"),
        ("77-", "77-", "77-"),
        ("a.png", "", "a.png"),
    ],
)
def test_the_real_name_is_without_the_prefix(name: str, file: str, real: str) -> None:
    assert real_name(77, name, file) == real
