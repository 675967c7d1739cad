"""The calls of the system that is replaced, one after the other (``spec/sync.md`` sections 4 and 6).

The list of changed tickets; each of them at depth 5; for each of its notes the note at depth 5, which
its files are compared with; then the list of changed notes, whose tickets were all handled before.
It writes nothing, so the time is that of the calls alone.
"""

import time

import requests

from benchmarks.contestants.report import arguments, report

_LIMIT = 200


class _Caller:
    def __init__(self, given: dict[str, str]) -> None:
        self._base_url = given["toga2_url"]
        self._session = requests.Session()
        self._session.auth = (given["api_key"], given["api_secret"])
        self._session.headers["X-Client-Uuid"] = given["client_uuid"]
        self.calls = 0

    def get(self, path: str, key: str, **params: str) -> object:
        self.calls += 1
        response = self._session.get(f"{self._base_url}/{path}", params=params, timeout=60)
        response.raise_for_status()
        return response.json()["data"][key]

    def listed(self, route: str, key: str) -> list[dict[str, object]]:
        records: list[dict[str, object]] = []
        page = 1
        while True:
            found = self.get(
                route,
                key,
                **{
                    "where[_updated >]": "2000-01-01 00:00:00",
                    "orderBy": "_updated,uuid",
                    "page": str(page),
                    "limit": str(_LIMIT),
                },
            )
            assert isinstance(found, list)
            records += found
            if len(found) < _LIMIT:
                return records
            page += 1


def main() -> None:
    """Make the calls for the first ``tickets`` of the list."""
    given = arguments()
    caller = _Caller(given)
    started = time.perf_counter()
    tickets = caller.listed("tickets", "tickets")
    lists_read = time.perf_counter()
    list_calls = caller.calls
    chosen = tickets[: given["tickets"]]
    notes = 0
    for listed in chosen:
        ticket = caller.get(f"tickets/{listed['uuid']}", "tickets", depth="5")
        assert isinstance(ticket, dict)
        for note in ticket["ticketNotes"]:
            caller.get(f"ticket-notes/{note['uuid']}", "ticketNotes", depth="5")
            notes += 1
    details_read = time.perf_counter()
    detail_calls = caller.calls - list_calls
    caller.listed("ticket-notes", "ticketNotes")
    ended = time.perf_counter()
    # the lists are read whole; only what is done for each ticket is multiplied
    share = len(tickets) / len(chosen)
    seconds = (lists_read - started) + (ended - details_read) + (details_read - lists_read) * share
    report(
        seconds,
        tickets=len(tickets),
        measured=len(chosen),
        notes=notes,
        api_calls=caller.calls - detail_calls + round(detail_calls * share),
    )


if __name__ == "__main__":
    main()
