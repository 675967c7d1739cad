"""Senders of webhooks on connections that they keep; each waits for an answer before it sends again."""

import asyncio
import time

from benchmarks.contestants.report import arguments, report

_BODY = (
    b'{"freshservice_webhook": {"ticket_id": "INC-12345", "ticket_subject": "The printer on floor 3", '
    b'"ticket_status": "Open", "ticket_priority": "Medium", "triggered_event": "{reply_sent:agent}"}}'
)


async def _send(port: int, secret: str, left: list[int], waits: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = (
        b"POST /webhook/elite HTTP/1.1\r\nHost: hooks.example.com\r\nUser-Agent: Freshservice\r\n"
        b"Content-Type: application/json\r\nAccept: */*\r\nX-Webhook-Secret: %s\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (secret.encode(), len(_BODY), _BODY)
    )
    while left[0] > 0:
        left[0] -= 1
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(size)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode("latin-1"))
        waits.append(time.perf_counter() - began)
    writer.close()


async def _all(port: int, secret: str, connections: int, count: int) -> list[float]:
    left, waits = [count], list[float]()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(connections):
            tasks.create_task(_send(port, secret, left, waits))
    return waits


def main() -> None:
    given = arguments()
    began = time.perf_counter()
    waits = sorted(
        asyncio.run(_all(given["port"], given["secret"], given["connections"], given["count"]))
    )
    seconds = time.perf_counter() - began
    report(seconds, taken=len(waits), p99_ms=waits[len(waits) * 99 // 100] * 1000)


if __name__ == "__main__":
    main()
