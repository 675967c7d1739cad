"""What a file is called: the name that people see, and the name that its bytes lie under.

``spec/sync.md`` section 6: a name is only a name. The shown name (``files.name``) stays readable and
keeps its ending; the stored one (``files.file``) is ``{id}-{name}``, and in addition nothing that a web
server, which serves the uploads folder, could take for a program.

Pure functions: the same name gives the same result, and a shown name is its own shown name. What does not
belong here: the folder (``uploads``).
"""

import re
import unicodedata
from collections.abc import Callable

from elite_pipeline.togadesk.text import TextLimits, held

#: What a file is called that has no name of its own.
UNNAMED = "file"

#: The longest name that file systems take, in bytes.
MOST_BYTES = 255

#: Stands where a name was shortened.
_CUT = "[…]"
#: A longer last part is no ending, but part of the name.
_LONGEST_ENDING = 24

_SEPARATORS = re.compile(r"[/\\]")
_BLANKS = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
#: Control characters, and those that turn the order of what is shown (a file that reads as ``gnp.exe``).
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]")
_HALF_PAIRS = re.compile("[\ud800-\udfff]")
#: What Windows does not take in a name; some of it ends a name in an address, too.
_RESERVED = re.compile(r'[<>:"|?*]')
_DOTS = re.compile(r"\.{2,}")
_NOT_PLAIN = re.compile(r"[^a-z0-9]+")

#: Endings behind which a web server may see a program, or orders to itself. Apache's AddHandler looks at
#: every ending of a name, so each of them counts wherever it stands; many a pattern for PHP has no end.
_RUNNABLE = re.compile(
    r"(?:php|pht|phar).*|hphp|ctp|inc|cgi|fcgi|fpl|pl|pm|plx|py[cowz]?|wsgi|rb|lua|tcl"
    r"|sh|bash|ksh|csh|zsh|asp|aspx|asa|asax|ascx|ashx|asmx|cer|cdx|idc|vbs|vbhtml|cshtml"
    r"|jsp[xfa]?|jsw|jsv|jhtml|cfm|cfml|cfc|dbm|shtml?|stm|ssi|htaccess|htpasswd|ini"
)


def shown_name(name: str, limits: TextLimits) -> str:
    """Return a name as people see it, for ``files.name``.

    Separators become ``_``; line breaks become blanks; control characters, marks that reverse what is
    shown and half surrogate pairs go. What the column's charset lacks is written as character references,
    and what is too long is cut before its ending, visibly.

    Args:
        name: Any text.
        limits: What ``files.name`` holds.
    """
    clean = _clean(name)
    most_chars = limits.ascii_chars if limits.max_chars is None else limits.max_chars

    def fits(text: str) -> bool:
        written = held(text, limits.charset)
        return len(written) <= most_chars and (
            limits.max_bytes is None or len(written.encode()) <= limits.max_bytes
        )

    if not fits(clean):
        stem, ending = _split(clean)
        clean = _longest(stem, lambda part: f"{part.rstrip()}{_CUT}{ending}", fits)
    return held(clean, limits.charset)


def stored_name(file_id: int, name: str, limits: TextLimits) -> str:
    """Return the name that a file's bytes lie under, for ``files.file``: ``{id}-{name}``, made harmless.

    At most 255 bytes, in the folder and in the column; what is too long is cut before its ending. An
    ending behind which a web server sees a program stops being one, and stays readable: ``a.php`` is
    stored as ``a_php_.txt``, ``a.php.jpg`` as ``a_php_.jpg``.

    Args:
        file_id: The file's row.
        name: Any text: the real name, or the shown one.
        limits: What ``files.file`` holds.
    """
    clean = "".join(
        character if held(character, limits.charset) == character else "_"
        for character in _RESERVED.sub("_", _clean(name))
    )
    clean = _DOTS.sub(".", clean).strip(". ") or UNNAMED
    harmless = _harmless(clean)
    most = min(MOST_BYTES, limits.ascii_chars)

    def whole(text: str) -> str:
        return f"{file_id}-{text}"

    def fits(text: str) -> bool:
        return len(whole(text).encode()) <= most

    if not fits(harmless):
        stem, ending = _split(harmless)
        # without its dots: what is left of the stem must not end in what the whole of it did not
        harmless = _longest(stem.replace(".", "_"), lambda part: f"{part.rstrip()}{ending}", fits)
    return whole(harmless)


def real_name(file_id: int, name: str, file: str) -> str:
    """Return what a file of the helpdesk is called.

    The web form can leave ``files.name`` equal to ``files.file``, ``{id}-`` included; a name that a
    person started with a number keeps it.
    """
    if name == file or not name.strip():
        return file.removeprefix(f"{file_id}-") or name
    return name


def _clean(name: str) -> str:
    name = _SEPARATORS.sub("_", _HALF_PAIRS.sub("\ufffd", name))
    name = _UNSEEN.sub("", _BLANKS.sub(" ", name)).strip()
    return name if name.strip(". ") else UNNAMED


def _harmless(name: str) -> str:
    first, *endings = name.split(".")
    result = first
    runs_at_the_end = False
    for ending in endings:
        # as the most forgiving of servers and file systems read it: its letters, or the first of them
        plain = unicodedata.normalize("NFKC", ending).casefold()
        readings = (_NOT_PLAIN.sub("", plain), _NOT_PLAIN.split(plain)[0])
        runs_at_the_end = any(_RUNNABLE.fullmatch(reading) for reading in readings)
        result += f"_{ending}_" if runs_at_the_end else f".{ending}"
    return f"{result}.txt" if runs_at_the_end else result


def _split(name: str) -> tuple[str, str]:
    """Return stem and ending; a name without one, or with too long a one, is all stem."""
    stem, dot, ending = name.rpartition(".")
    if not stem or not dot or len(ending.encode()) > _LONGEST_ENDING or " " in ending:
        return name, ""
    return stem, f".{ending}"


def _longest(stem: str, spell: Callable[[str], str], fits: Callable[[str], bool]) -> str:
    """Return the longest spelling of a beginning of ``stem`` that fits; the shortest if none does."""
    # a character is at least one byte, so nothing longer can fit
    least, most = 0, min(len(stem), 4 * MOST_BYTES)
    while least < most:
        middle = (least + most + 1) // 2
        if fits(spell(stem[:middle])):
            least = middle
        else:
            most = middle - 1
    return spell(stem[:least])
