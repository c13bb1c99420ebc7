"""Who works: one row for each worker, written with every renewal of its leases, for operators and for estimates.

Nothing is decided by it: whether a job is lost is said by its own lease. A worker that ends takes its row away; that of
one that died is kept for a while, so that an operator sees that it is silent, and is then forgotten.
"""

import os
import socket
from dataclasses import dataclass
from typing import Literal

from penstock.jobs.queue import LEASE_S
from penstock.kit.database import Row, Transaction

FORGET_S = 600.0  # how long a worker that has gone silent is still shown
MOST_SHOWN = 1_000

WorkerState = Literal["working", "draining", "silent"]

SEEN = """
INSERT INTO workers (name, host, pid, slots, running, draining, started_at, seen_at)
VALUES (:name, :host, :pid, :slots, :running, :draining, :now, :now)
ON CONFLICT (name) DO UPDATE SET slots = excluded.slots, running = excluded.running, draining = excluded.draining,
    seen_at = excluded.seen_at
"""

GONE = "DELETE FROM workers WHERE name = :name"

FORGET = "DELETE FROM workers WHERE seen_at < :before"

ALL = """
SELECT name, host, pid, slots, running, draining, started_at, seen_at FROM workers
ORDER BY started_at, name LIMIT :limit
"""

ALIVE = """
SELECT COUNT(*) AS workers, COALESCE(SUM(slots), 0) AS slots FROM workers WHERE seen_at > :since AND NOT draining
"""


@dataclass(frozen=True)
class Entry:
    """A worker as it was seen last.

    Args:
        slots: jobs that it would run at one time now.
        running: jobs that it ran when it was seen last.
        started_at: and `seen_at`: seconds since 1970 UTC.
    """

    name: str
    host: str
    pid: int
    slots: int
    running: int
    state: WorkerState
    started_at: float
    seen_at: float


@dataclass(frozen=True)
class Alive:
    """How many workers have been seen within a lease, and how many jobs they run at one time."""

    workers: int
    slots: int


def seen(tx: Transaction, name: str, slots: int, running: int, *, draining: bool) -> None:
    """Write down that a worker of this process lives."""
    tx.run(
        SEEN,
        name=name,
        host=socket.gethostname(),
        pid=os.getpid(),
        slots=slots,
        running=running,
        draining=draining,
        now=tx.now,
    )


def gone(tx: Transaction, name: str) -> None:
    """Forget a worker that has ended."""
    tx.run(GONE, name=name)


def forget_silent(tx: Transaction) -> int:
    """Forget workers that have been silent for `FORGET_S`; returns how many."""
    return tx.run(FORGET, before=tx.now - FORGET_S)


def everybody(tx: Transaction) -> list[Entry]:
    """Return all workers that are known, the longest running first."""
    return [_entry(tx, row) for row in tx.all(ALL, limit=MOST_SHOWN)]


def alive(tx: Transaction) -> Alive:
    """Count the workers that take jobs."""
    row = tx.one(ALIVE, since=tx.now - LEASE_S) or {}
    return Alive(int(row["workers"]), int(row["slots"]))


def _entry(tx: Transaction, row: Row) -> Entry:
    state: WorkerState = "draining" if row["draining"] else "working"
    if row["seen_at"] <= tx.now - LEASE_S:
        state = "silent"
    fields = {key: value for key, value in row.items() if key != "draining"}
    return Entry(**fields, state=state)
