"""A bare loop, as one writes it in an afternoon: requests, pymysql, an upsert per page.

It reads pages by number, compares nothing, knows no other client, and stops at the first error; what
it shows is how fast the same rows can get from the same API into the same table.
"""

import time

import pymysql
import requests

from benchmarks.contestants.report import arguments, report

_LIMIT = 200

# Every value is a parameter: only then does pymysql send the rows of a page as one statement.
_COLUMNS = (
    "name", "email", "title", "mobile", "referenceId", "type", "roleid", "clientid", "password",
    "theme", "sidebar", "layout", "notes", "signature", "sessionid", "resetkey", "autorefresh",
    "lang", "ticketsnotification", "avatar",
)  # fmt: skip
_FIXED = ("user", 2, 1, "!", "skin-blue", "opened", "", "", "", "", "", 0, "en", 0, "")
_UPSERT = (
    f"INSERT INTO people ({', '.join(_COLUMNS)}) VALUES ({', '.join(['%s'] * len(_COLUMNS))}) "
    "ON DUPLICATE KEY UPDATE name = VALUES(name), title = VALUES(title), mobile = VALUES(mobile), "
    "referenceId = VALUES(referenceId)"
)


def main() -> None:
    """Copy every contact."""
    given = arguments()
    started = time.perf_counter()
    connection = pymysql.connect(**given["database"], charset="utf8mb4", autocommit=False)
    session = requests.Session()
    session.auth = (given["api_key"], given["api_secret"])
    session.headers["X-Client-Uuid"] = given["client_uuid"]
    page, copied = 1, 0
    while True:
        response = session.get(
            f"{given['toga2_url']}/contacts",
            params={
                "where[_updated >]": "2000-01-01 00:00:00",
                "orderBy": "_updated,uuid",
                "page": str(page),
                "limit": str(_LIMIT),
            },
            timeout=60,
        )
        response.raise_for_status()
        contacts = response.json()["data"]["contacts"]
        rows = [
            (
                f"{contact['firstName']} {contact['lastName']}",
                contact["email"].lower(),
                contact["title"],
                contact["phone"],
                contact["uuid"],
                *_FIXED,
            )
            for contact in contacts
        ]
        with connection.cursor() as cursor:
            cursor.executemany(_UPSERT, rows)
        connection.commit()
        copied += len(rows)
        if len(contacts) < _LIMIT:
            break
        page += 1
    session.close()
    connection.close()
    report(time.perf_counter() - started, copied=copied, api_calls=page)


if __name__ == "__main__":
    main()
