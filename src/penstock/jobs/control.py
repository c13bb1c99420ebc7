"""What a customer may do to a job that was accepted: cancel it, or try a failed one again."""

import json

from penstock.jobs import queries, queue, settle
from penstock.jobs.flow import Flow
from penstock.jobs.order import Order, read_order
from penstock.jobs.settle import Ending
from penstock.jobs.states import FINAL, QUEUED
from penstock.jobs.submit import Submitted, submit
from penstock.kit.caller import Caller
from penstock.kit.checkpoints import checkpoint
from penstock.kit.database import Row, Transaction
from penstock.kit.errors import Problem, not_found
from penstock.ledger import service as ledger


async def cancel(flow: Flow, account_id: str, job_id: str) -> None:
    """Cancel a job: at once when it is queued, as soon as it can be stopped when it runs; twice is once.

    Errors: `not_found`, `wrong_state` for a job that has ended otherwise.
    """
    running = await flow.database.write(_cancel, flow, account_id, job_id)
    checkpoint("cancel.committed")
    if running:
        flow.tell_cancelled(job_id)


def _cancel(tx: Transaction, flow: Flow, account_id: str, job_id: str) -> bool:
    own_job(tx, account_id, job_id)
    ledger.lock(tx, account_id)
    state = queue.lock_job(tx, job_id)
    if state in QUEUED:
        return not settle.leave(tx, flow, job_id, account_id, Ending("cancelled", None))
    if state == "running":
        return tx.run(queue.REQUEST_CANCEL, id=job_id) == 1
    if state != "cancelled":
        raise Problem("wrong_state", f"This job has already {_ENDED.get(state, 'ended')}.")
    return False


_ENDED = {"succeeded": "succeeded", "failed": "failed", "expired": "expired"}


def own_job(tx: Transaction, account_id: str, job_id: str) -> Row:
    """Return a job of this account. Errors: `not_found`, also for somebody else's."""
    job = tx.one(queries.JOB, id=job_id, account_id=account_id)
    if job is None:
        raise not_found("job")
    return job


async def retry(flow: Flow, caller: Caller, job_id: str, idempotency_key: str | None) -> Submitted:
    """Submit a failed, cancelled or expired job again as a new one, held and paid anew.

    Errors: `not_found`, `wrong_state`, and those of submit.
    """
    job = await flow.database.read(own_job, caller.account_id, job_id)
    if job["state"] not in FINAL - {"succeeded"}:
        raise Problem("wrong_state", "Only a job that failed, was cancelled or expired can be tried again.")
    return await submit(flow, _same_again(flow, caller, job, idempotency_key))


def _same_again(flow: Flow, caller: Caller, job: Row, idempotency_key: str | None) -> Order:
    return read_order(
        flow.products.current(),
        flow.providers,
        account_id=caller.account_id,
        plan=caller.plan,
        visitor=caller.visitor,
        operation=job["operation"],
        inputs=json.loads(job["inputs"]),
        options=json.loads(job["options"]),
        idempotency_key=idempotency_key,
    )
