"""Live events: written with the change that they tell of, read in order by whoever follows.

The list in the database is the truth; a hint, from this process or another, only says that there is more to read, so
a listener never misses an event and never sees one twice, however often it reconnects and wherever it does.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Literal

from penstock.kit.clock import rfc3339
from penstock.kit.database import Database, Row, Transaction
from penstock.kit.hints import Hints, LocalHints
from penstock.notify import queries

EventType = Literal[
    "job.queued",
    "job.position",
    "job.started",
    "job.progress",
    "job.retrying",
    "job.succeeded",
    "job.failed",
    "job.cancelled",
    "job.expired",
]
FINAL_TYPES = frozenset({"job.succeeded", "job.failed", "job.cancelled", "job.expired"})
EVENT_PAGE = 200  # events read at one time
POLL_S = 5.0  # the net beneath the wake-ups
KEEP_EVENTS_S = 3 * 86_400.0  # a listener that stayed away longer reads the job itself
SWEEP_EVENTS = 1_000  # events deleted in one transaction
TOPIC = "events"  # of hints; they are about an account

Event = dict[str, Any]


class Hub:
    """Who follows whose events in this process, and how to wake them."""

    def __init__(self, hints: Hints | None = None) -> None:
        """Start with nobody listening; without `hints`, to this process alone."""
        self.hints = hints or LocalHints()
        self._listeners: dict[str, set[asyncio.Event]] = {}
        self.hints.hear(TOPIC, self._heard)

    def emit(self, tx: Transaction, account_id: str, job_id: str, kind: EventType, content: Mapping[str, Any]) -> None:
        """Write an event in the open transaction; listeners wake once it is committed.

        Nobody else writes events of this account until then, so that a listener which has seen one never misses a
        lower one that is committed later. Comes last in a unit; a unit that tells several accounts goes by their order.
        """
        self.emit_all(tx, kind, [(account_id, job_id, content)])

    def emit_all(self, tx: Transaction, kind: EventType, told: Iterable[tuple[str, str, Mapping[str, Any]]]) -> None:
        """Write an event for each (account, job, content), accounts in their order. See `emit`."""
        events = [(account_id, _written(tx, account_id, job_id, kind, content)) for account_id, job_id, content in told]
        tx.many_alone(queries.INSERT_EVENT, ((f"events {account_id}", event) for account_id, event in events))
        for account_id, _ in events:
            tx.after_commit(partial(self.wake, account_id))

    def wake(self, account_id: str) -> None:
        """Tell this account's listeners, in every process, that there may be something to read."""
        self.hints.tell(TOPIC, account_id)

    def _heard(self, account_id: str | None) -> None:
        """Wake the listeners of an account, or all where hints may have been lost."""
        for account in list(self._listeners) if account_id is None else [account_id]:
            for listener in self._listeners.get(account, ()):
                listener.set()

    def followed(self) -> list[str]:
        """Return the accounts that somebody listens to."""
        return list(self._listeners)

    async def follow(
        self, database: Database, account_id: str, after: int, job_id: str | None = None
    ) -> AsyncGenerator[Event, None]:
        """Yield events of an account (or one job of it) with an id above `after`, in order, for ever."""
        wake = self.listen(account_id)
        try:
            while True:
                wake.clear()
                page = await database.read(events_after, account_id, after, job_id)
                for event in page:
                    after = event["id"]
                    yield event
                if len(page) < EVENT_PAGE:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(POLL_S):
                            await wake.wait()
        finally:
            self.forget(account_id, wake)

    def listen(self, account_id: str) -> asyncio.Event:
        """Return an event that is set whenever there may be something new to read for this account."""
        wake = asyncio.Event()
        self._listeners.setdefault(account_id, set()).add(wake)
        return wake

    def forget(self, account_id: str, wake: asyncio.Event) -> None:
        """Stop setting `wake`."""
        listeners = self._listeners.get(account_id, set())
        listeners.discard(wake)
        if not listeners:
            self._listeners.pop(account_id, None)


def events_after(tx: Transaction, account_id: str, after: int, job_id: str | None = None) -> list[Event]:
    """Return up to `EVENT_PAGE` events above `after`, in order."""
    if job_id is None:
        rows = tx.all(queries.EVENTS_AFTER, account_id=account_id, after=after, limit=EVENT_PAGE)
    else:
        rows = tx.all(queries.JOB_EVENTS_AFTER, account_id=account_id, job_id=job_id, after=after, limit=EVENT_PAGE)
    return [_event(row) for row in rows]


def last_event(tx: Transaction, account_id: str) -> int:
    """Return the id of an account's newest event: where a listener that wants only news starts.

    Not that of all accounts: an event with a lower id may be about to be committed.
    """
    return int(tx.value(queries.LAST_EVENT, account_id=account_id))


def sweep_events(tx: Transaction) -> int:
    """Delete events older than `KEEP_EVENTS_S`, a batch at a time; returns how many went."""
    return tx.run(queries.DELETE_OLD_EVENTS, before=tx.now - KEEP_EVENTS_S, limit=SWEEP_EVENTS)


def _written(
    tx: Transaction, account_id: str, job_id: str, kind: EventType, content: Mapping[str, Any]
) -> dict[str, Any]:
    data = json.dumps(content, separators=(",", ":"))
    return {"account_id": account_id, "job_id": job_id, "type": kind, "data": data, "now": tx.now}


def _event(row: Row) -> Event:
    return {
        "id": row["id"],
        "type": row["type"],
        "job": row["job_id"],
        "at": rfc3339(row["created_at"]),
        "data": json.loads(row["data"]),
    }
