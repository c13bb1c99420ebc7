"""The events of one job as a stream that ends: for Server-Sent Events, and what the WebSocket shares with it.

A stream can be cut at any time and resumed after the last event that arrived: the events lie in the database, and
nothing of a connection but its place in them is remembered here.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import TypeVar

from penstock.jobs.control import own_job
from penstock.jobs.flow import Flow
from penstock.jobs.states import FINAL
from penstock.kit.database import Transaction
from penstock.kit.errors import Action, Problem
from penstock.notify.live import EVENT_PAGE, FINAL_TYPES, Event, events_after, last_event
from penstock.observability import metrics

HEARTBEAT_S = 15.0  # a comment this often keeps proxies from closing a silent stream
MAX_STREAM_S = 900.0  # then the client comes back with fresh credentials and resumes: as long as an access token lives
MAX_STREAMS_EACH = 20  # of one account in this process
RETRY_MS = 2_000  # how long a browser waits before it resumes

T = TypeVar("T")


class Streams:
    """The live connections of this process: how many each account has, and the word that all must end."""

    def __init__(self) -> None:
        """Start with none."""
        self.closing = asyncio.Event()
        self._open: Counter[str] = Counter()

    @contextmanager
    def opened(self, account_id: str, kind: str) -> Iterator[None]:
        """Count a connection while it lives. Errors: `rate_limited` for one too many of an account."""
        self.check(account_id)
        self._open[account_id] += 1
        metrics.STREAMS.labels(kind).inc()
        try:
            yield
        finally:
            metrics.STREAMS.labels(kind).dec()
            self._open[account_id] -= 1
            if not self._open[account_id]:
                del self._open[account_id]

    def check(self, account_id: str) -> None:
        """Raise `rate_limited` for an account that has as many connections as it may."""
        if self._open[account_id] >= MAX_STREAMS_EACH:
            raise Problem(
                "rate_limited",
                f"This account has {MAX_STREAMS_EACH} live connections open. Close one of them first.",
                actions=[Action("wait", "Close another page")],
                retry_after_s=HEARTBEAT_S,
            )


async def job_events(
    flow: Flow, streams: Streams, account_id: str, job_id: str, after: int
) -> AsyncGenerator[bytes, None]:
    """Yield the events of a job above `after` as Server-Sent Events, until its last one.

    The job must be the account's own. Ends early after `MAX_STREAM_S` or when the server stops: the client resumes.
    """
    with streams.opened(account_id, "sse"):
        yield f"retry: {RETRY_MS}\n\n".encode()
        over, after = await flow.database.read(standing, account_id, job_id, after)
        source = _stored(flow, account_id, job_id, after) if over else _until_final(flow, account_id, job_id, after)
        async with aclosing(with_heartbeats(source, streams.closing)) as events:
            async for event in events:
                yield b": still here\n\n" if event is None else _written(event)


def standing(tx: Transaction, account_id: str, job_id: str, after: int) -> tuple[bool, int]:
    """Return whether a job is over, and where to resume: never beyond the newest event.

    Errors: `not_found` for a job that is not the account's own.
    """
    job = own_job(tx, account_id, job_id)
    return job["state"] in FINAL, min(after, last_event(tx, account_id))


async def with_heartbeats(
    source: AsyncGenerator[T, None],
    closing: asyncio.Event,
    every_s: float = HEARTBEAT_S,
    lifetime_s: float = MAX_STREAM_S,
) -> AsyncGenerator[T | None, None]:
    """Yield what `source` yields, and None when it is silent for `every_s` seconds.

    Ends with the source, when `closing` is set, or after `lifetime_s` seconds; the source is closed with it.
    """
    clock = asyncio.get_running_loop().time
    end = clock() + lifetime_s
    stop = asyncio.ensure_future(closing.wait())
    following = asyncio.ensure_future(_next(source))
    try:
        while (left_s := end - clock()) > 0:
            pause_s = min(every_s, left_s)
            done, _ = await asyncio.wait({following, stop}, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
            if following in done:
                ended, item = following.result()
                if ended:
                    return
                yield item
                following = asyncio.ensure_future(_next(source))
            elif stop in done:
                return
            else:
                yield None
    finally:
        for task in (following, stop):
            task.cancel()
        await asyncio.gather(following, stop, return_exceptions=True)
        await source.aclose()


async def _next(source: AsyncGenerator[T, None]) -> tuple[bool, T | None]:
    """Return (False, item), or (True, None) at the end: a StopAsyncIteration can't leave a task."""
    try:
        return False, await anext(source)
    except StopAsyncIteration:
        return True, None


async def _stored(flow: Flow, account_id: str, job_id: str, after: int) -> AsyncGenerator[Event, None]:
    """Yield what there is, and end."""
    while page := await flow.database.read(events_after, account_id, after, job_id):
        for event in page:
            yield event
        after = page[-1]["id"]
        if len(page) < EVENT_PAGE:
            return


async def _until_final(flow: Flow, account_id: str, job_id: str, after: int) -> AsyncGenerator[Event, None]:
    async with aclosing(flow.hub.follow(flow.database, account_id, after, job_id)) as events:
        async for event in events:
            yield event
            if event["type"] in FINAL_TYPES:
                return


def _written(event: Event) -> bytes:
    return f"id: {event['id']}\nevent: {event['type']}\ndata: {json.dumps(event, separators=(',', ':'))}\n\n".encode()
