"""A process of its own whose threads call a counting server within a budget.

``python -m elite_pipeline_tests.support.rate_callers <server> <database> <overall> <kinds> <window>
<threads> <calls>``, where ``kinds`` is JSON.
"""

import json
import sys
import threading

import click

from elite_pipeline.ledger import LedgerRateBudget
from elite_pipeline.transport import Redactor, Transport


def main(
    server: str,
    url: str,
    overall: int,
    kinds: dict[str, int],
    window: float,
    threads: int,
    calls: int,
) -> None:
    """Make the calls, and print how many were answered."""
    budget = LedgerRateBudget(url, "account", overall=overall, kinds=kinds, window_seconds=window)
    transport = Transport(
        system="S", base_url=server, pool_size=threads, redactor=Redactor(), budget=budget
    )
    names = [*kinds, "other"]
    answered: list[int] = []

    def work(first: int) -> None:
        for number in range(calls):
            kind = names[(first + number) % len(names)]
            answer = transport.request(
                "GET",
                f"{server}/{kind}",
                parse=json.loads,
                read_error=lambda _: (None, ""),
                headers={},
                auth=None,
                repeatable=True,
                kind=kind,
            )
            answered.append(answer.status)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    transport.close()
    budget.close()
    click.echo(str(len(answered)))


if __name__ == "__main__":
    main(
        sys.argv[1],
        sys.argv[2],
        int(sys.argv[3]),
        json.loads(sys.argv[4]),
        float(sys.argv[5]),
        int(sys.argv[6]),
        int(sys.argv[7]),
    )
