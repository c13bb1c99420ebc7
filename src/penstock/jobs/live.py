"""`WS /live`: the events of one's jobs over one connection, resumable, with a place to start from.

    client  {type: "hello", token?, after?}              who it is (or its cookie), and where it left off
            {type: "subscribe", job?, after?}            one job, or without `job` all of one's own
            {type: "unsubscribe", job?}, {type: "ping"}
    server  {type: "welcome", after}, {type: "subscribed", job, status}, {type: "unsubscribed", job}, {type: "pong"}
            {type: "problem", code, title, detail, job?}
            {id, type, job, at, data}                    an event

The pump is one task with one place in the account's list of events, so what it sends comes in order and once. A job
that is subscribed later first gets what the pump has passed already. Nothing queues up for a slow client: events wait
in the database, and one that takes nothing for `SEND_S` is let go; it comes back and resumes.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import structlog
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from penstock.accounts.service import AccountsService
from penstock.admission.limiter import InProcessRateLimiter
from penstock.admission.rates import Rate
from penstock.jobs.control import own_job
from penstock.jobs.flow import Flow
from penstock.jobs.states import FINAL, status_of
from penstock.jobs.stream import MAX_STREAM_S, Streams
from penstock.kit.caller import Caller, sign_in_required
from penstock.kit.database import DatabaseUnavailableError, Transaction
from penstock.kit.errors import Problem, not_found
from penstock.notify.live import EVENT_PAGE, FINAL_TYPES, POLL_S, Event, events_after, last_event

HELLO_S = 10.0  # by when a client must have said who it is
SEND_S = 10.0  # by when a client must have taken a message
MAX_MESSAGE_CHARACTERS = 4_096
MAX_SUBSCRIPTIONS = 100  # jobs on one connection; all of one's own count as one
MESSAGES = Rate.per("live-messages", burst=120, window_s=60)
MAX_EVENT_ID = 2**63 - 1

# Close codes: 1000 to 1013 as in RFC 6455, those from 4000 on are HTTP's statuses.
GOING_AWAY, POLICY, TOO_BIG, TRY_AGAIN = 1001, 1008, 1009, 1013
BAD_MESSAGE, HELLO_TIMEOUT = 4400, 4408

router = APIRouter(tags=["jobs"])

log = structlog.get_logger()


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore")

    after: int | None = Field(default=None, ge=0, le=MAX_EVENT_ID)


class Hello(_Message):
    """The first message."""

    type: Literal["hello"]
    token: str | None = Field(default=None, max_length=MAX_MESSAGE_CHARACTERS)


class Subscribe(_Message):
    """Asks for the events of one job, or of all."""

    type: Literal["subscribe"]
    job: str | None = Field(default=None, max_length=100)


class Unsubscribe(_Message):
    """Asks for no more of them."""

    type: Literal["unsubscribe"]
    job: str | None = Field(default=None, max_length=100)


class Ping(_Message):
    """Asks whether anybody is there."""

    type: Literal["ping"]


_HELLO: TypeAdapter[Hello] = TypeAdapter(Hello)
_COMMAND: TypeAdapter[Subscribe | Unsubscribe | Ping] = TypeAdapter(
    Annotated[Subscribe | Unsubscribe | Ping, Field(discriminator="type")]
)


class ClosedError(Exception):
    """The connection must be closed, with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


@dataclass(frozen=True)
class _Wish:
    """A subscription that the pump has yet to begin, or to `end`; `job` is None for all of one's own."""

    job: str | None
    after: int = 0
    over: bool = False
    end: bool = False


@router.websocket("/live")
async def live(websocket: WebSocket) -> None:
    """Tell a customer what happens to their jobs."""
    state = websocket.app.state
    flow: Flow = state.flow
    streams: Streams = state.streams
    await websocket.accept()
    try:
        hello = await _hello(websocket)
        caller = await _caller(websocket, state.accounts, hello.token)
        structlog.contextvars.bind_contextvars(account_id=caller.account_id)
        with streams.opened(caller.account_id, "ws"):
            await LiveConnection(websocket, flow, caller.account_id, hello.after).run(streams.closing)
    except Problem as problem:
        await _farewell(websocket, 4000 + problem.status, problem.detail, _told(problem))
    except ClosedError as closed:
        await _farewell(websocket, closed.code, closed.reason)
    except DatabaseUnavailableError as error:
        log.warning("live.unavailable", error=str(error))
        await _farewell(websocket, TRY_AGAIN, "We can't reach our own data at the moment. Connect again and resume.")
    except WebSocketDisconnect:
        pass


async def _hello(websocket: WebSocket) -> Hello:
    try:
        async with asyncio.timeout(HELLO_S):
            text = await _receive(websocket)
    except TimeoutError:
        raise ClosedError(HELLO_TIMEOUT, f"Say hello within {HELLO_S:.0f} seconds.") from None
    try:
        return _HELLO.validate_json(text)
    except ValidationError:
        raise ClosedError(BAD_MESSAGE, 'The first message is {"type": "hello", "token": …, "after": …}.') from None


async def _caller(websocket: WebSocket, accounts: AccountsService, token: str | None) -> Caller:
    """Return who this is: by the token of the hello, else by what came with the handshake.

    A cookie counts only from our own pages: browsers send it from anywhere (`identify` looks at the origin).
    """
    caller = await (accounts.identify(websocket) if token is None else accounts.identify_token(token))
    if caller is None:
        raise sign_in_required()
    return caller


class LiveConnection:
    """One connection of an account whose owner is known.

    Args:
        after: where the client left off; None: what happens from now on, and of a single job all from its beginning.
    """

    def __init__(self, websocket: WebSocket, flow: Flow, account_id: str, after: int | None) -> None:
        """Send nothing yet."""
        self._websocket, self._flow, self._account_id = websocket, flow, account_id
        self._resumes_after = after
        self._place = 0
        self._jobs: set[str] = set()  # whose events the pump passes on
        self._begun: set[str] = set()  # whose events up to the pump's place have been sent
        self._told_whole: set[str] = set()  # over, and all of their events sent
        self._all = False
        self._wishes: deque[_Wish] = deque()
        self._sending = asyncio.Lock()
        self._wake = flow.hub.listen(account_id)
        self._limiter = InProcessRateLimiter(flow.clock)

    async def run(self, closing: asyncio.Event, lifetime_s: float = MAX_STREAM_S) -> None:
        """Talk until the client leaves. Errors: ClosedError."""
        tasks: list[asyncio.Task[Any]] = []
        try:
            newest = await self._flow.database.read(last_event, self._account_id)
            self._place = newest if self._resumes_after is None else min(self._resumes_after, newest)
            await self._send({"type": "welcome", "after": self._place})
            tasks = [asyncio.create_task(each) for each in (self._listen(), self._pump(), closing.wait())]
            done, _ = await asyncio.wait(tasks, timeout=lifetime_s, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if tasks[-1] in done:
                raise ClosedError(GOING_AWAY, "The server restarts. Connect again and resume.")
            if not done:
                raise ClosedError(TRY_AGAIN, "This connection is old enough. Connect again and resume.")
        finally:
            self._flow.hub.forget(self._account_id, self._wake)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        """Do what the client asks, until it leaves."""
        while True:
            text = await _receive(self._websocket)
            await self._count()
            try:
                command = _COMMAND.validate_json(text)
            except ValidationError:
                reason = "Messages are JSON of type subscribe, unsubscribe or ping."
                raise ClosedError(BAD_MESSAGE, reason) from None
            try:
                await self._do(command)
            except Problem as problem:
                await self._send({**_told(problem), "job": getattr(command, "job", None)})

    async def _count(self) -> None:
        if not (await self._limiter.take(self._account_id, MESSAGES)).allowed:
            raise ClosedError(POLICY, f"More than {MESSAGES.burst} messages a minute. Connect again later.")

    async def _do(self, command: Subscribe | Unsubscribe | Ping) -> None:
        match command:
            case Subscribe():
                await self._subscribe(command)
            case Unsubscribe(job=job):
                self._wishes.append(_Wish(job, end=True))
                self._wake.set()
            case Ping():
                await self._send({"type": "pong"})

    async def _subscribe(self, command: Subscribe) -> None:
        after = self._resumes_after if command.after is None else command.after
        if command.job is None:
            self._wishes.append(_Wish(None, self._place if after is None else after))
            await self._send({"type": "subscribed", "job": None})
        else:
            if len(self._jobs) + len(self._wishes) >= MAX_SUBSCRIPTIONS:
                detail = f"One connection follows {MAX_SUBSCRIPTIONS} jobs at most. Leave out `job` to follow all."
                raise Problem("invalid_input", detail)
            state, cancelling = await self._flow.database.read(_state_of, self._account_id, command.job)
            if command.job not in self._begun:
                self._wishes.append(_Wish(command.job, after or 0, over=state in FINAL))
            status = status_of(state, cancel_requested=cancelling)
            await self._send({"type": "subscribed", "job": command.job, "status": status})
        self._wake.set()

    async def _pump(self) -> None:
        """Send events in order, from the place where the first subscription begins."""
        while True:
            self._wake.clear()
            while self._wishes:
                wish = self._wishes.popleft()
                await (self._end(wish) if wish.end else self._begin(wish))
            full = False
            if self._all or self._jobs:
                page = await self._flow.database.read(events_after, self._account_id, self._place)
                full = len(page) == EVENT_PAGE
                for event in page:
                    self._place = event["id"]
                    await self._pass_on(event)
            if not full:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), POLL_S)

    async def _begin(self, wish: _Wish) -> None:
        """Send what the pump has passed already and leave the rest to it; of a job that is over, send everything."""
        if self._all:
            return  # it is told of already
        async for event in self._between(wish.after, MAX_EVENT_ID if wish.over else self._place, wish.job):
            if wish.job is not None or event["job"] not in self._begun:
                await self._send(event)
        if wish.job is None:
            self._all = True
            return
        self._begun.add(wish.job)
        (self._told_whole if wish.over else self._jobs).add(wish.job)

    async def _end(self, wish: _Wish) -> None:
        """Send no more of a job, or of all."""
        if wish.job is None:
            self._all = False
        else:
            self._jobs.discard(wish.job)
            self._begun.discard(wish.job)
        await self._send({"type": "unsubscribed", "job": wish.job})

    async def _between(self, after: int, last: int, job: str | None) -> AsyncIterator[Event]:
        """Yield the events above `after` up to `last`."""
        while after < last:
            page = await self._flow.database.read(events_after, self._account_id, after, job)
            for event in page:
                if event["id"] > last:
                    return
                yield event
            if len(page) < EVENT_PAGE:
                return
            after = page[-1]["id"]

    async def _pass_on(self, event: Event) -> None:
        job = event["job"]
        if (self._all or job in self._jobs) and job not in self._told_whole:
            await self._send(event)
        if event["type"] in FINAL_TYPES:
            self._jobs.discard(job)

    async def _send(self, message: dict[str, Any]) -> None:
        text = json.dumps(message, separators=(",", ":"), ensure_ascii=False)
        try:
            async with asyncio.timeout(SEND_S), self._sending:
                await self._websocket.send_text(text)
        except TimeoutError:
            raise ClosedError(TRY_AGAIN, "You take messages too slowly. Connect again and resume.") from None


async def _receive(websocket: WebSocket) -> str:
    """Return the next text. Errors: WebSocketDisconnect; ClosedError for what is none or too long."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    text: str | None = message.get("text")
    if text is None:
        raise ClosedError(BAD_MESSAGE, "Messages are text, not bytes.")
    if len(text) > MAX_MESSAGE_CHARACTERS:
        raise ClosedError(TOO_BIG, f"A message has {MAX_MESSAGE_CHARACTERS} characters at most.")
    return text


async def _farewell(websocket: WebSocket, code: int, reason: str, last_words: dict[str, Any] | None = None) -> None:
    """Close a connection that may be gone or stuck; the reason may have 123 bytes (RFC 6455, section 5.5)."""
    if websocket.application_state is not WebSocketState.CONNECTED:
        return
    with suppress(TimeoutError, RuntimeError, OSError, WebSocketDisconnect):
        async with asyncio.timeout(SEND_S):
            if last_words is not None:
                await websocket.send_text(json.dumps(last_words, ensure_ascii=False))
            await websocket.close(code, reason.encode()[:120].decode(errors="ignore"))


def _told(problem: Problem) -> dict[str, Any]:
    return {"type": "problem", "code": problem.code, "title": problem.title, "detail": problem.detail}


def _state_of(tx: Transaction, account_id: str, job_id: str) -> tuple[Any, bool]:
    if not job_id.isascii():
        raise not_found("job")
    job = own_job(tx, account_id, job_id)
    return job["state"], bool(job["cancel_requested"])
