"""The queue: every statement that moves a job from one state to another, named and explained.

A customer's limit is applied on the way in: a job is `ready` only while its customer has room, so the claim's index
holds nothing that can't start, and blocked work costs it nothing. A claim carries a lease and a fence; every later
write says `fence = :fence`, so a worker that lost its job can change nothing.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from penstock.kit.database import Row, Transaction, Variants

LEASE_S = 30.0
HEARTBEAT_S = 10.0
LOST_BATCH = 100  # lost leases mended in one look

INSERT_JOB = """
INSERT INTO jobs (id, account_id, operation, plan, product_version, price, inputs, options, state, rank, run_at,
    predicted_wait_s, cache_key, cached_from, created_at)
VALUES (:id, :account_id, :operation, :plan, :product_version, :price, :inputs, :options, :state, :rank, :now,
    :predicted_wait_s, :cache_key, :cached_from, :now)
"""

# How much of its limit the customer uses; counting stops at the limit.
ACTIVE = """
SELECT COUNT(*) FROM (
    SELECT 1 FROM jobs WHERE account_id = :account_id AND state IN ('ready', 'running') LIMIT :limit) AS active
"""

LAST_QUEUED_RANK = """
SELECT rank FROM jobs WHERE account_id = :account_id AND state IN ('waiting', 'ready') ORDER BY rank DESC LIMIT 1
"""

# Jobs ahead of a rank; counting stops at the limit, past which the difference tells nobody anything.
AHEAD = """
SELECT COUNT(*) FROM (
    SELECT 1 FROM jobs WHERE state IN ('waiting', 'ready') AND rank < :rank LIMIT :limit) AS ahead
"""

# The same among some operations; :among is `,name,name,`.
AHEAD_AMONG = """
SELECT COUNT(*) FROM (
    SELECT 1 FROM jobs WHERE state IN ('waiting', 'ready') AND rank < :rank
        AND REPLACE(:among, ',' || operation || ',', '') <> :among LIMIT :limit) AS ahead
"""

_TAKE = """
UPDATE jobs SET state = 'running', fence = fence + 1, attempts = attempts + 1, worker = :worker,
    lease_until = :lease_until, started_at = COALESCE(started_at, :now), stage = NULL, progress = NULL
"""
_FIRST_READY = """
SELECT id FROM jobs WHERE state = 'ready' AND run_at <= :now
    AND (rank < 0 OR REPLACE(:without, ',' || operation || ',', '') = :without) ORDER BY rank, run_at LIMIT :slots
"""
_TAKEN = """
RETURNING jobs.id, account_id, operation, plan, product_version, price, inputs, options, fence, attempts, rank,
    cache_key, cached_from, created_at, started_at
"""

# Take the first ready jobs in one statement. The partial index `ix_jobs_ready` is read in order and stops at :slots.
# :without is `,name,name,`: operations that nobody has room for; `,` alone leaves none out. A rank below 0 is that of a
# job that asks nobody (`cache.GOES_FIRST`). `run_at` is in the order for the planner's sake: only `ix_jobs_ready` has
# it, and the index of all queued jobs would lead past those that wait.
# Workers of PostgreSQL claim at the same time: each passes over what another one has just locked. MATERIALIZED, for a
# subquery that the planner runs more than once would lock other rows each time.
CLAIM: Variants = {
    "sqlite": f"{_TAKE} WHERE id IN ({_FIRST_READY}) {_TAKEN}",
    "postgresql": f"""
WITH first_ready AS MATERIALIZED ({_FIRST_READY} FOR NO KEY UPDATE SKIP LOCKED)
{_TAKE} FROM first_ready WHERE jobs.id = first_ready.id {_TAKEN}
""",
}

# One statement renews every lease of a worker; what doesn't come back was lost or must be cancelled.
RENEW = """
UPDATE jobs SET lease_until = :lease_until
WHERE state = 'running' AND worker = :worker AND id = :id AND fence = :fence RETURNING cancel_requested
"""

PROGRESS = """
UPDATE jobs SET stage = :stage, progress = :progress, provider = COALESCE(:provider, provider)
WHERE id = :id AND fence = :fence AND state = 'running'
"""

# With the plan of the customer's next waiting job, whom the end of this one may let in; it may be this one's own.
_NEXT_PLAN = """
RETURNING (SELECT w.plan FROM jobs w WHERE w.account_id = jobs.account_id AND w.state = 'waiting'
    ORDER BY w.rank LIMIT 1) AS next_plan
"""

FINISH = f"""
UPDATE jobs SET state = :state, lease_until = NULL, finished_at = :now, result_id = :result_id, output = :output,
    error = :error, provider = COALESCE(:provider, provider), route_why = COALESCE(:route_why, route_why)
WHERE id = :id AND fence = :fence AND state = 'running' {_NEXT_PLAN}
"""  # noqa: S608 - constants of ours

# A job whose customer has asked to stop it doesn't go back: it ends (`settle.give_back`). One whose only try doesn't
# count has not started: its wait goes on, and how long it took is measured from its real start.
REQUEUE = """
UPDATE jobs SET state = 'ready', lease_until = NULL, worker = NULL, run_at = :run_at, attempts = attempts - :unspent,
    started_at = CASE WHEN attempts = :unspent THEN NULL ELSE started_at END,
    route_why = COALESCE(:route_why, route_why)
WHERE id = :id AND fence = :fence AND state = 'running' AND cancel_requested = false RETURNING id
"""

# An update that changes nothing locks the row until the commit: nobody can take the job over before that.
STILL_HELD = """
UPDATE jobs SET fence = fence WHERE id = :id AND fence = :fence AND state = 'running' RETURNING id
"""

# The customer's next waiting jobs, as many as there is room for.
NEXT_WAITING = f"""
SELECT id FROM jobs WHERE account_id = :account_id AND state = 'waiting' ORDER BY rank LIMIT :limit - ({ACTIVE})
"""  # noqa: S608 - constants of ours

PROMOTE = "UPDATE jobs SET state = 'ready' WHERE id = :id AND state = 'waiting'"

LEAVE_QUEUE = f"""
UPDATE jobs SET state = :state, finished_at = :now, error = :error
WHERE id = :id AND state IN ('waiting', 'ready') {_NEXT_PLAN}
"""  # noqa: S608 - constants of ours

REQUEST_CANCEL = "UPDATE jobs SET cancel_requested = true WHERE id = :id AND state = 'running'"

# Holds a job's state still until the transaction ends. The customer's wallet is locked before it, never after.
LOCK_JOB: Variants = {
    "sqlite": "SELECT state FROM jobs WHERE id = :id",
    "postgresql": "SELECT state FROM jobs WHERE id = :id FOR NO KEY UPDATE",
}

LOST_LEASES = """
SELECT id, account_id, fence, attempts, plan, product_version, cancel_requested FROM jobs
WHERE state = 'running' AND lease_until < :now ORDER BY lease_until LIMIT :limit
"""

_STILL_LOST = (
    "SELECT 1 AS lost FROM jobs WHERE id = :id AND fence = :fence AND state = 'running' AND lease_until < :now"
)

# Locked, or its worker might renew the lease before the job is taken away.
STILL_LOST: Variants = {"sqlite": _STILL_LOST, "postgresql": f"{_STILL_LOST} FOR NO KEY UPDATE"}

# For a start with nobody else about: whoever held these jobs is gone.
END_LEASES = "UPDATE jobs SET lease_until = 0 WHERE state = 'running'"

QUEUED_TOO_LONG = """
SELECT id, account_id, plan FROM jobs
WHERE state IN ('waiting', 'ready') AND created_at < :before ORDER BY created_at LIMIT :limit
"""

QUEUED_UP_TO = """
SELECT COUNT(*) FROM (SELECT 1 FROM jobs WHERE state IN ('waiting', 'ready') LIMIT :limit) AS queued
"""

DEPTH = """
SELECT COUNT(*) AS queued, MIN(created_at) AS oldest FROM jobs WHERE state IN ('waiting', 'ready')
"""

RUNNING = "SELECT COUNT(*) FROM jobs WHERE state = 'running'"

NEXT_DUE = "SELECT MIN(run_at) FROM jobs WHERE state = 'ready'"


class FencedError(Exception):
    """Another worker holds the job now; what this one made is thrown away with its transaction."""


def claim(tx: Transaction, worker: str, slots: int, without: Iterable[str] = ()) -> list[Row]:
    """Take up to `slots` ready jobs in rank order, each with a lease and a new fence.

    Args:
        without: operations whose jobs stay where they are.
    """
    left_out = "".join(f",{name}," for name in without) or ","
    taken = tx.all(
        CLAIM[tx.dialect], worker=worker, slots=slots, now=tx.now, lease_until=tx.now + LEASE_S, without=left_out
    )
    return sorted(taken, key=lambda row: float(row["rank"]))


def renew(tx: Transaction, worker: str, held: Iterable[tuple[str, int]]) -> dict[tuple[str, int], bool]:
    """Renew the leases of (job, fence) pairs; returns cancel_requested by pair for those that are still held."""
    renewed: dict[tuple[str, int], bool] = {}
    for job_id, fence in held:
        row = tx.one(RENEW, worker=worker, id=job_id, fence=fence, lease_until=tx.now + LEASE_S)
        if row is not None:
            renewed[job_id, fence] = bool(row["cancel_requested"])
    return renewed


def finish(tx: Transaction, job_id: str, fence: int, state: str, **outcome: Any) -> Row | None:
    """Move a running job to a final state; None if this fence no longer holds it.

    Returns `next_plan`: the plan of the customer's next waiting job, or None when nothing waits.
    """
    fields = {"result_id": None, "output": None, "error": None, "provider": None, "route_why": None, **outcome}
    return tx.one(FINISH, id=job_id, fence=fence, state=state, now=tx.now, **fields)


def still_held(tx: Transaction, job_id: str, fence: int) -> bool:
    """Return whether this fence still holds the job; if so, it does until the transaction ends."""
    return tx.one(STILL_HELD, id=job_id, fence=fence) is not None


def requeue(
    tx: Transaction, job_id: str, fence: int, *, run_at: float, spent: bool = True, route_why: str | None = None
) -> bool:
    """Give a running job back to the queue at its old rank.

    False if this fence no longer holds it, or its customer has asked to stop it. `spent` is False when the try
    doesn't count: a drain, a provider without capacity.
    """
    unspent = 0 if spent else 1
    return tx.one(REQUEUE, id=job_id, fence=fence, run_at=run_at, unspent=unspent, route_why=route_why) is not None


def lock_job(tx: Transaction, job_id: str) -> str:
    """Return a job's state, which stays so until the transaction ends. The customer's wallet must be locked."""
    state: str = tx.value(LOCK_JOB[tx.dialect], id=job_id)
    return state


def still_lost(tx: Transaction, job_id: str, fence: int) -> bool:
    """Return whether a lease has run out; if so, nobody renews it before the transaction ends. The wallet is locked."""
    return tx.one(STILL_LOST[tx.dialect], id=job_id, fence=fence, now=tx.now) is not None


def leave_queue(tx: Transaction, job_id: str, state: str, error: str | None) -> Row | None:
    """Cancel or expire a queued job; None if it has started or ended meanwhile. Returns what `finish` does."""
    return tx.one(LEAVE_QUEUE, id=job_id, state=state, now=tx.now, error=error)


def active(tx: Transaction, account_id: str, limit: int) -> int:
    """Return how many jobs of the customer are ready or running, counted up to `limit`."""
    return int(tx.value(ACTIVE, account_id=account_id, limit=limit))


def promote(tx: Transaction, account_id: str, limit: int) -> int:
    """Make waiting jobs ready while the customer has room; returns how many. The wallet must be locked."""
    let_in = tx.all(NEXT_WAITING, account_id=account_id, limit=limit)  # two settles let in two: they hold the wallet
    return sum(tx.run(PROMOTE, id=row["id"]) for row in let_in)


def lost(tx: Transaction) -> Sequence[Row]:
    """Return running jobs whose lease ran out, the longest lost first."""
    return tx.all(LOST_LEASES, now=tx.now, limit=LOST_BATCH)


def end_leases(tx: Transaction) -> int:
    """End every lease, so that the next look for lost ones finds them; returns how many. Only when nobody works."""
    return tx.run(END_LEASES)
