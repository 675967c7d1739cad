"""What anybody would write: a Starlette handler that inserts a row, commits and answers.

The insert runs on Starlette's own threads, each with a connection of its own. No secret is compared, no
body bounded, no header taken out.
"""

import asyncio
import json
import socket
import sys
import threading
import uuid
from datetime import UTC, datetime

import pymysql
import sqlalchemy as sa
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_INSERT = (
    "INSERT INTO WorkerJobs (uuid, dtStamp, action, payload, headers, status, attempts) "
    "VALUES (%s, %s, %s, %s, %s, 'PENDING', 0)"
)


def main() -> None:
    url = sa.make_url(json.loads(sys.argv[1])["url"])
    local = threading.local()

    def insert(body: str, headers: str) -> str:
        if not hasattr(local, "connection"):
            local.connection = pymysql.connect(
                host=url.host,
                port=url.port or 3306,
                user=url.username,
                password=url.password or "",
                database=url.database,
            )
        row = str(uuid.uuid4())
        now = datetime.now(UTC).replace(tzinfo=None)
        with local.connection.cursor() as cursor:
            cursor.execute(_INSERT, (row, now, "Elite/Webhook", body, headers))
        local.connection.commit()
        return row

    async def webhook(request: Request) -> Response:
        body = (await request.body()).decode()
        headers = json.dumps(dict(request.headers))
        return JSONResponse({"uuid": await run_in_threadpool(insert, body, headers)})

    app = Starlette(routes=[Route("/webhook/{client}", webhook, methods=["POST"])])
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
    print(f"bare: http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    main()
