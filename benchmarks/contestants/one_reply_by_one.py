"""The calls that sending two replies to each ticket takes, one after the other.

For each ticket of the list: the ticket with its notes, which tells what is there already, and a POST for
each reply. The list itself is not in the time.
"""

import time

import requests

from benchmarks.contestants.report import arguments, report

_REPLIES = 2


def main() -> None:
    """Send replies to the first ``tickets`` of the list."""
    given = arguments()
    base_url = given["toga2_url"]
    session = requests.Session()
    session.auth = (given["api_key"], given["api_secret"])
    session.headers["X-Client-Uuid"] = given["client_uuid"]
    listed = session.get(f"{base_url}/tickets", params={"limit": "200"}, timeout=60)
    listed.raise_for_status()
    tickets = listed.json()["data"]["tickets"][: given["tickets"]]
    started = time.perf_counter()
    for ticket in tickets:
        found = session.get(
            f"{base_url}/tickets/{ticket['uuid']}", params={"depth": "5"}, timeout=60
        )
        found.raise_for_status()
        for number in range(_REPLIES):
            note = {
                "ticket": {"uuid": ticket["uuid"]},
                "isExternal": True,
                "body": f"<p>We have looked at it, reply {number}.</p>",
            }
            session.post(f"{base_url}/ticket-notes", json=note, timeout=60).raise_for_status()
    report(time.perf_counter() - started, tickets=len(tickets), failed=0)


if __name__ == "__main__":
    main()
