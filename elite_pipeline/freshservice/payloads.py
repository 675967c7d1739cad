"""Which ticket a webhook's body is about (``spec/freshservice.md``, "Webhooks").

The body is written by a person in the Workflow Automator and filled in with what requesters typed, so it
has no fixed shape and is not always what it claims to be. All that is wanted of it is a ticket's number,
and rather none than a wrong one: the number of a requester, of a change or from a subject is not taken,
and where two are as good as each other neither is.

What does not belong here: reading what is no well-formed JSON (``payload_scan``).
"""

import json
import re
from collections.abc import Iterable, Iterator

from elite_pipeline.errors import PermanentError
from elite_pipeline.freshservice.payload_scan import Finding, has_form, scan

#: Under which the ticket's fields stand, if not at the top; written as :func:`_plain` writes names.
_WRAPPERS = frozenset({"freshservicewebhook", "freshdeskwebhook", "ticket"})

#: A ticket's number is small; those of people, conversations and files are above 2³¹.
_LARGEST = 2**31 - 1

#: ``123``, ``123.0``, ``#123``, ``INC-123``, ``SR 45``, ``#HR-7``.
_NUMBER = re.compile(
    r"\#?\s*(?:(?P<kind>[A-Za-z]{1,12})(?P<mark>[\s_-]{0,3}))?(?P<digits>[0-9]{1,15})(?:\.0{1,6})?"
)
#: What names a ticket without a hyphen between, and what names something else.
_TICKETS = frozenset({"inc", "sr"})
_NO_TICKETS = frozenset(
    {
        "chn",
        "chg",
        "prb",
        "rel",
        "asset",
        "ast",
        "ci",
        "prj",
        "tsk",
        "task",
        "sol",
        "kb",
        "con",
        "po",
    }
)

#: ``INC-123`` within a text.
_IN_TEXT = re.compile(r"(?<![\w-])(?:INC|SR)-([0-9]{1,10})(?![\w-])")

#: How often one JSON document may stand in another as text, and how deep wrappers may be nested.
_MOST_LEVELS = 4


class PayloadError(PermanentError):
    """A webhook's body says of no ticket, or of none clearly, that it has changed."""


def ticket_id_of(payload: str) -> int:
    """Return the number of the ticket that a webhook is about.

    Args:
        payload: Its body: JSON, broken JSON, a form, XML, or the number alone.

    Raises:
        PayloadError: It holds none, or several of which each could be meant. The message quotes nothing
            but numbers.
    """
    text = payload.strip("\ufeff\0 \t\r\n")
    if not text:
        raise PayloadError("The webhook's body is empty: give it the ticket's id, as ticket_id.")
    if (alone := _number(text)) is not None:
        return alone
    try:
        findings = _findings(_loaded(text), (), _MOST_LEVELS)
    except ValueError:
        return _chosen(scan(text), text)
    return _chosen(findings, None)


class _Pairs(list[tuple[str, object]]):
    """An object of JSON, keys that stand twice included."""


def _loaded(text: str) -> object:
    """Return JSON with its numbers as they are written.

    Raises:
        ValueError: It is none.
    """
    try:
        # not strict: placeholders are pasted in raw, with their newlines
        return json.loads(
            text,
            strict=False,
            object_pairs_hook=_Pairs,
            parse_int=str,
            parse_float=str,
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _findings(document: object, path: tuple[str, ...], levels: int) -> Iterator[Finding]:
    """Yield the scalar values of a document that stand at the top or under wrappers alone."""
    if isinstance(document, _Pairs):
        for name, value in document:
            if isinstance(value, str):
                yield Finding(path, name, value)
                # "ticket": "INC-123", or a document in a text
                if _plain(name) in _WRAPPERS and value.lstrip().startswith("{"):
                    yield from _findings(value, (*path, name), levels)
            elif _plain(name) in _WRAPPERS and levels:
                yield from _findings(value, (*path, name), levels - 1)
    elif isinstance(document, str) and levels:
        if _number(document) is not None:
            yield Finding(path, "ticket", document)
            return
        try:
            inner = _loaded(document)
        except ValueError:
            yield from scan(document)
        else:
            yield from _findings(inner, path, levels - 1)
    elif isinstance(document, list) and levels:
        for one in document:
            yield from _findings(one, path, levels - 1)


def _chosen(findings: Iterable[Finding], text: str | None) -> int:
    """Return the number that the clearest of some findings agree on.

    Args:
        findings: What the body holds.
        text: The body, where it is no JSON.
    """
    ranked: dict[int, set[int]] = {}
    for finding in findings:
        rank = _rank(finding)
        if rank is not None and (number := _number(finding.value)) is not None:
            ranked.setdefault(rank, set()).add(number)
    if not ranked and text is not None and not has_form(text):
        # plain words: what they name like a ticket is all that there is
        ranked[0] = {int(digits) for digits in _IN_TEXT.findall(text)}
    best = ranked[min(ranked)] if ranked else set()
    if not best:
        what = (
            "holds no ticket id" if text is None else "is not JSON, and no ticket id is found in it"
        )
        raise PayloadError(
            f"The webhook's body {what}: expected ticket_id, id or id_numeric at its top, or under "
            "freshservice_webhook, freshdesk_webhook or ticket. Correct it in the Workflow Automator."
        )
    if len(best) > 1:
        some = ", ".join(map(str, sorted(best)[:5]))
        raise PayloadError(
            f"The webhook's body holds {len(best)} ticket ids of which each could be meant ({some}). "
            "Give it one, as ticket_id."
        )
    return best.pop()


def _rank(finding: Finding) -> int | None:
    """Say how clearly a value is a ticket's number, 0 being the clearest; None: it is none."""
    path = [_plain(name) for name in finding.path]
    name = _plain(finding.name)
    if not _WRAPPERS.issuperset(path):
        return None
    if name in {"ticketid", "ticketidnumeric"}:
        return 0
    if name == "idnumeric":
        return 1
    if name == "ticket":
        return 2
    if name == "id":
        # beside a wrapper it is rather the webhook's own
        return 2 if "ticket" in path else 4 - bool(path)
    return None


def _number(value: str) -> int | None:
    """Return the ticket's number that a value is, decorated or not; None: it is none."""
    if len(value) > 64 or (found := _NUMBER.fullmatch(value.strip())) is None:
        return None
    kind = (found["kind"] or "").lower()
    if kind in _NO_TICKETS or (kind and kind not in _TICKETS and "-" not in found["mark"]):
        return None
    number = int(found["digits"])
    return number if 0 < number <= _LARGEST else None


def _plain(name: str) -> str:
    """Return a name without what people write differently: ``Ticket-ID`` is ``ticket_id``."""
    return "".join(char for char in name[:64].lower() if char.isalnum())
