"""The receiver: ``POST /webhook/{client}`` becomes a row, and is answered once that is committed.

``spec/freshservice.md``, "Webhooks". Whoever cannot show the client's secret is refused before a byte of
the body is looked at. What comes in is kept as it is: what it means is found out later, by a run.

What does not belong here: sockets and signals (``server``), and settings (``webhook_assembly``).
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from elite_pipeline.errors import PipelineError, TransientError
from elite_pipeline.inbox import bodies, headers
from elite_pipeline.inbox.entrances import Entrance, Entrances
from elite_pipeline.inbox.exchanges import Observer, exchange_of
from elite_pipeline.inbox.health import Health
from elite_pipeline.inbox.rows import Webhook
from elite_pipeline.inbox.seldom import Seldom
from elite_pipeline.inbox.store import Inbox
from elite_pipeline.inbox.writer import Writer

logger = logging.getLogger(__name__)

#: What bodies under way may take together, and how long one waits for room, in seconds.
ROOM_BYTES = 32 << 20
ROOM_SECONDS = 10.0
#: How long a webhook waits for its commit at most, in seconds.
STORE_SECONDS = 15.0
#: When a sender should come again, in seconds.
RETRY_AFTER = "30"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: Mapping[str, str]
    headers: Mapping[str, str] | None = None

    def response(self) -> Response:
        return JSONResponse(dict(self.body), self.status, headers=self.headers)


class _RefusalError(Exception):
    """Answered so, and no row is stored."""

    def __init__(self, status: int, reason: str, **more: str) -> None:
        super().__init__(reason)
        found = {name.replace("_", "-"): value for name, value in more.items()}
        self.answer = _Answer(status, {"error": reason}, found)


def _unavailable(reason: str) -> _RefusalError:
    return _RefusalError(503, reason, retry_after=RETRY_AFTER)


class Receiver:
    """Receives webhooks.

    Args:
        entrances: Whose are taken.
        inbox: Where they are stored; closed at the end.
        redact: Takes every known secret out of a text.
        observers: Client -> told of each of its webhooks, refused ones included; must not wait.
        tell: Told of what an operator should know.
        report: Told of failures to store, with tags that say where; the same at most once a minute.

    Attributes:
        app: The ASGI application; its lifespan ends when all that it took is stored.
    """

    def __init__(
        self,
        entrances: Entrances,
        inbox: Inbox,
        *,
        redact: Callable[[str], str],
        observers: Mapping[str, Observer] | None = None,
        tell: Callable[[str], None] = logger.warning,
        report: Callable[[Exception, Mapping[str, str]], None] | None = None,
    ) -> None:
        self._entrances = entrances
        self._inbox = inbox
        self._redact = redact
        self._observers = observers or {}
        self._seldom = Seldom(tell)
        self._report = report
        self._room = bodies.Room(ROOM_BYTES, ROOM_SECONDS)
        self._writer = Writer(inbox.add_all)
        self._health = Health(inbox.check_storing, self._failed)
        self.app = Starlette(
            routes=[
                # also with a slash: a sender that is sent on to another address may not go there
                Route("/webhook/{client}", self._webhook, methods=["POST"]),
                Route("/webhook/{client}/", self._webhook, methods=["POST"]),
                Route("/healthz", self._healthz, methods=["GET"]),
            ],
            lifespan=self._lifespan,
        )
        self.app.router.redirect_slashes = False

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await self._writer.close()
            self._health.close()
            self._inbox.close()

    async def _healthz(self, _request: Request) -> Response:
        if await self._health.is_good():
            return JSONResponse({"status": "ok"})
        return JSONResponse(
            {"status": "unavailable", "error": "rows cannot be stored"},
            503,
            headers={"retry-after": RETRY_AFTER},
        )

    async def _webhook(self, request: Request) -> Response:
        client = request.path_params["client"]
        started, began = datetime.now(UTC), time.perf_counter()
        given = headers.read(request.scope["headers"])
        body = bytearray()
        try:
            entrance = self._entrance(client, request)
            answer = await self._taken(entrance, request, given, body)
        except _RefusalError as refusal:
            answer = refusal.answer
        response = answer.response()
        observe = self._observers.get(client)
        if observe is not None:
            observe(
                exchange_of(
                    request.scope,
                    given,
                    bytes(body),
                    response,
                    started=started,
                    seconds=time.perf_counter() - began,
                )
            )
        return response

    def _entrance(self, client: str, request: Request) -> Entrance:
        entrance = self._entrances.open.get(client)
        if entrance is None:
            if client not in self._entrances.closed:
                raise _RefusalError(404, "There is no such client.")
            # not 404: who sends is right, and should come again when this is mended
            self._seldom(
                f"webhooks: {client}: refused until this is mended and the receiver started again: "
                f"{self._entrances.closed[client]}"
            )
            raise _unavailable("This client cannot be served at the moment.")
        if not entrance.opens_for(request.scope["headers"]):
            self._seldom(
                f"webhooks: {client}: one came with a wrong secret or with none. Compare the header "
                "X-Webhook-Secret in its Workflow Automator with the secret in the environment."
            )
            raise _RefusalError(
                401,
                "Expected the client's secret in X-Webhook-Secret, or as password.",
                www_authenticate='Basic realm="webhooks", charset="UTF-8"',
            )
        return entrance

    async def _taken(
        self, entrance: Entrance, request: Request, given: Mapping[str, str], body: bytearray
    ) -> _Answer:
        """Read and store a webhook."""
        try:
            size = bodies.announced(given)
            async with self._room.held(bodies.MOST_BYTES if size is None else size):
                body += bodies.unpacked(await bodies.read(request.receive), given)
                payload, encoding = bodies.as_text(bytes(body), given)
                webhook = Webhook(
                    entrance.action, payload, headers.kept(given, encoding, self._redact)
                )
                await self._stored(webhook, entrance.client)
        except bodies.TooLargeError:
            raise _RefusalError(413, f"Expected at most {bodies.MOST_BYTES} bytes.") from None
        except bodies.TooSlowError:
            raise _RefusalError(
                408, f"Expected the whole body within {bodies.SECONDS:g} s.", connection="close"
            ) from None
        except bodies.GoneError:
            raise _RefusalError(400, "The body is not whole.") from None
        except bodies.FullError:
            self._seldom("webhooks: more came at once than is kept in memory; some were refused.")
            raise _unavailable("Too much at once.") from None
        return _Answer(200, {"uuid": webhook.uuid})

    async def _stored(self, webhook: Webhook, client: str) -> None:
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await self._writer.put(webhook)
        except TimeoutError:
            place, limit = self._inbox.place, f"{STORE_SECONDS:g} s"
            late = f"The pipeline's own database ({place}) took longer than {limit}."
            self._failed(TransientError(late), client)
            raise _unavailable("The row could not be stored in time.") from None
        except PipelineError as error:
            self._failed(error, client)
            raise _unavailable("The row could not be stored.") from None

    def _failed(self, error: PipelineError, client: str = "") -> None:
        """Tell why rows cannot be stored; of no client's in particular where healthz found it out."""
        what = "senders are told to come again" if client else "healthz says so"
        if self._seldom(f"webhooks: rows cannot be stored; {what}: {error}") and self._report:
            tags = {"client": client, "flow": "webhooks", "kind": error.kind, "state": "not stored"}
            self._report(error, tags)
