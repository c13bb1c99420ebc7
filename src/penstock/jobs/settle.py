"""Settle: how a job leaves its worker. One transaction for the state, the money, the result and the event.

Each function returns False when the fence says that this worker no longer holds the job; then nothing was written.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.accounts.allowances import limits_of
from penstock.jobs import cache, queue
from penstock.jobs.flow import Claimed, Delivery, Flow
from penstock.jobs.queue import FencedError
from penstock.kit.checkpoints import checkpoint
from penstock.kit.database import Row, Transaction
from penstock.ledger import service as ledger
from penstock.notify.live import EventType


@dataclass(frozen=True)
class Ending:
    """How a job ended without a result: what the customer is told, as the `error` of the job."""

    state: str
    error: Mapping[str, Any] | None
    route_why: str | None = None
    """Whom the last try skipped and why, as JSON, for operators."""


async def settle_success(
    flow: Flow, job: Claimed, delivery: Delivery, provider: str | None, route_why: str | None = None
) -> bool:
    """Capture the credits and keep the result; `route_why` is JSON for operators."""
    try:
        await flow.lasting.write_for(job.account_id, succeed, flow, job, delivery, provider, route_why)
    except FencedError:
        return False
    checkpoint("settle.committed")
    return True


async def settle_failure(flow: Flow, job: Claimed, ending: Ending) -> bool:
    """Give the credits back; for failed and cancelled jobs."""
    settled = await flow.lasting.write_for(job.account_id, end, flow, job.id, job.account_id, job.fence, ending)
    checkpoint("settle.committed")
    return settled


def succeed(
    tx: Transaction, flow: Flow, job: Claimed, delivery: Delivery, provider: str | None, route_why: str | None = None
) -> None:
    """Settle a success in the open transaction. Errors: FencedError, which undoes all of it."""
    wallet = ledger.lock(tx, job.account_id)
    result_id = flow.studio.deliver(tx, job, delivery)
    checkpoint("settle.delivered")
    output = None if delivery.output is None else json.dumps(delivery.output)
    outcome = {"result_id": result_id, "output": output, "provider": provider, "route_why": route_why}
    if (left := queue.finish(tx, job.id, job.fence, "succeeded", **outcome)) is None:
        raise FencedError(job.id)
    ledger.capture(tx, wallet, job.id, job.price, job.operation.title)
    checkpoint("settle.captured")
    cache.keep(tx, job)
    _let_in(tx, flow, job.account_id, left)
    flow.hub.emit(tx, job.account_id, job.id, "job.succeeded", {"result": result_id})


def end(tx: Transaction, flow: Flow, job_id: str, account_id: str, fence: int, ending: Ending) -> bool:
    """Settle a failure or a cancellation in the open transaction."""
    wallet = ledger.lock(tx, account_id)
    error = None if ending.error is None else json.dumps(ending.error)
    if (left := queue.finish(tx, job_id, fence, ending.state, error=error, route_why=ending.route_why)) is None:
        return False
    checkpoint("settle.ended")
    ledger.release(tx, wallet, job_id, _REASONS[ending.state])
    checkpoint("settle.released")
    _let_in(tx, flow, account_id, left)
    flow.hub.emit(tx, account_id, job_id, _EVENTS[ending.state], {"error": ending.error})
    return True


def leave(tx: Transaction, flow: Flow, job_id: str, account_id: str, ending: Ending) -> bool:
    """End a job that has not started (cancelled or expired) in the open transaction."""
    wallet = ledger.lock(tx, account_id)
    error = None if ending.error is None else json.dumps(ending.error)
    if (left := queue.leave_queue(tx, job_id, ending.state, error)) is None:
        return False
    ledger.release(tx, wallet, job_id, _REASONS[ending.state])
    checkpoint("settle.left")
    _let_in(tx, flow, account_id, left)
    flow.hub.emit(tx, account_id, job_id, _EVENTS[ending.state], {"error": ending.error})
    return True


def give_back(  # noqa: PLR0913 - the columns of one row
    tx: Transaction,
    flow: Flow,
    job_id: str,
    account_id: str,
    fence: int,
    *,
    attempts: int,
    run_at: float,
    spent: bool = True,
    route_why: str | None = None,
) -> bool:
    """Return a running job to the queue in the open transaction; one that its customer wants stopped ends instead.

    False if this fence no longer holds it.
    """
    if not queue.requeue(tx, job_id, fence, run_at=run_at, spent=spent, route_why=route_why):
        return end(tx, flow, job_id, account_id, fence, Ending("cancelled", None, route_why))
    checkpoint("settle.requeued")
    flow.hub.emit(tx, account_id, job_id, "job.retrying", {"attempts": attempts})
    tx.after_commit(flow.ready.wake)
    return True


_REASONS = {"failed": "Failed: given back", "cancelled": "Cancelled: given back", "expired": "Expired: given back"}
_EVENTS: dict[str, EventType] = {"failed": "job.failed", "cancelled": "job.cancelled", "expired": "job.expired"}


def _let_in(tx: Transaction, flow: Flow, account_id: str, left: Row) -> None:
    """Let the customer's next job in, once one has ended; the event that tells of it comes last, see `Hub.emit`."""
    if left["next_plan"] is not None:
        product = flow.products.current()
        plan = product.plans.get(left["next_plan"], product.plans[product.default_plan])
        if queue.promote(tx, account_id, limits_of(tx, account_id, plan.limits).running):
            tx.after_commit(flow.ready.wake)
