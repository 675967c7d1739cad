"""Reads both sides whole, and compares nothing: what any comparison has to do at least.

The same pages of TOGA 2 with the same depth, the same tables, and every file on both sides; one after
the other, as one writes it in an afternoon. Only the files of a page are fetched side by side, as many
at once as the pipeline fetches: else they would decide the comparison where an answer takes its time.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pymysql
import requests

from benchmarks.contestants.report import arguments, report

_LIMIT = 200
_ROWS = 5_000
_IN_FLIGHT = 8
_COLUMNS = {
    "people": "id, clientid, referenceId, name, email, title, mobile, type",
    "tickets": "id, referenceId, departmentid, userid, assetid, groupid, email, subject, status, "
    "priority, category, timestamp",
    "tickets_replies": "id, ticketid, peopleid, message, timestamp, referenceId",
    "comments": "id, ticketid, peopleid, comment, timestamp, referenceId",
    "files": "id, ticketreplyid, name, file, filetype, filesize",
}


def main() -> None:
    """Read everything once."""
    given = arguments()
    started = time.perf_counter()
    session = requests.Session()
    session.auth = (given["api_key"], given["api_secret"])
    session.headers["X-Client-Uuid"] = given["client_uuid"]
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=_IN_FLIGHT))
    pool = ThreadPoolExecutor(_IN_FLIGHT)
    counts = dict.fromkeys(("contacts", "tickets", "files", "rows"), 0)
    for route, key, depth in (("contacts", "contacts", 1), ("tickets", "tickets", 5)):
        number = 1
        while True:
            page = _get(session, f"{given['toga2_url']}/{route}", page=number, depth=depth)[key]
            counts[route] += len(page)
            files = [
                f"{given['toga2_url']}/files/{link['file']['uuid']}"
                for ticket in (page if route == "tickets" else ())
                for note in ticket["ticketNotes"]
                for link in note["ticketNoteFiles"]
            ]
            counts["files"] += len(list(pool.map(partial(_get, session, depth=1), files)))
            if len(page) < _LIMIT:
                break
            number += 1
    connection = pymysql.connect(**given["database"], charset="utf8mb4")
    with connection.cursor() as cursor:
        for table, columns in _COLUMNS.items():
            after = 0
            while True:
                cursor.execute(
                    f"SELECT {columns} FROM {table} WHERE id > %s ORDER BY id LIMIT {_ROWS}",
                    (after,),
                )
                rows = cursor.fetchall()
                if not rows:
                    break
                after = rows[-1][0]
                if table == "tickets":
                    counts["rows"] += len(rows)
                if table == "files":
                    for row in rows:
                        (Path(given["uploads_dir"]) / row[3]).read_bytes()
    connection.close()
    pool.shutdown()
    session.close()
    report(time.perf_counter() - started, **counts)


def _get(session: requests.Session, address: str, **params: int) -> Any:
    asked = {"orderBy": "_updated,uuid", "limit": str(_LIMIT), **params}
    is_list = "page" in params
    response = session.get(address, params=asked if is_list else params, timeout=60)
    response.raise_for_status()
    return response.json()["data"]


if __name__ == "__main__":
    main()
