"""Attempts: what providers that bill were asked to do, written down so that no crash makes a job pay twice.

    open_attempt (sending) -> note_reference (submitted) -> close_attempt (finished | failed)
                              ask_again (sending once more, `calls` 2) -> close_attempt

A row is there before the request is. Whoever takes a job over reads what was begun (`begun_before`): work with a
reference is polled again, and anything else that was perhaps paid for is not sent a second time unless the operation
allows it. Providers that don't bill leave a row only where they fail, for operators.
"""

from penstock.jobs import capacity, queries, queue
from penstock.jobs.flow import Claimed
from penstock.jobs.queue import FencedError
from penstock.kit.database import Row, Transaction
from penstock.providers.seam import Finished, ProviderError

MAX_DETAIL_CHARACTERS = 2_000


def open_attempt(tx: Transaction, job: Claimed, provider: str, *, billed: bool = True) -> None:
    """Take room at the provider and write down that the work is about to be sent.

    Errors:
        FencedError if somebody else holds the job; NoRoomError if the provider can take no more now.
    """
    if not queue.still_held(tx, job.id, job.fence):
        raise FencedError(job.id)
    limits = job.product.providers[provider].limits
    if limits is not None:
        capacity.reserve(tx, job.id, job.fence, provider, limits)
    if billed:
        tx.run(queries.OPEN_ATTEMPT, job_id=job.id, number=job.fence, provider=provider, now=tx.now)


def ask_again(tx: Transaction, job: Claimed, provider: str, *, billed: bool = True) -> None:
    """Write down that the provider is about to be shown what is wrong with its answer: a call of its own.

    From here on nobody knows again what was billed, until the attempt is closed once more. What the calls cost adds up.

    Errors:
        FencedError if somebody else holds the job; NoRoomError if the provider can take no more now.
    """
    if not queue.still_held(tx, job.id, job.fence):
        raise FencedError(job.id)
    limits = job.product.providers[provider].limits
    if limits is not None:
        capacity.reserve_again(tx, job.id, job.fence, provider, limits)
    if billed:
        tx.run(queries.ASK_AGAIN, job_id=job.id, number=job.fence, provider=provider)


def note_reference(tx: Transaction, job: Claimed, provider: str, reference: str) -> None:
    """Write down by which reference the provider knows the work."""
    tx.run(queries.ATTEMPT_SUBMITTED, job_id=job.id, number=job.fence, provider=provider, reference=reference)


def close_attempt(
    tx: Transaction, job: Claimed, provider: str, started: float, error: ProviderError | None, finished: Finished | None
) -> None:
    """Write down how this worker's attempt ended, and what of the provider's room it used; `started` since 1970."""
    _close(tx, job, job.fence, provider, started, error, finished)


def take_over(tx: Transaction, job: Claimed, begun: Row) -> None:
    """Keep the room at the provider for work that another worker had begun and that goes on there."""
    capacity.carry_over(tx, job.id, begun["number"], job.fence, begun["provider"])


def close_begun(
    tx: Transaction, job: Claimed, begun: Row, error: ProviderError | None, finished: Finished | None
) -> None:
    """Write down how an attempt ended that another worker had begun."""
    _close(tx, job, begun["number"], begun["provider"], tx.now, error, finished)


def begun_before(tx: Transaction, job: Claimed) -> list[Row]:
    """Return what earlier holders of the job began and may have been billed for, newest first."""
    return tx.all(queries.BEGUN_BEFORE, job_id=job.id, fence=job.fence)


def unfinished(tx: Transaction, job_id: str) -> list[Row]:
    """Return what providers may still be working on for a job, newest first."""
    return tx.all(queries.UNFINISHED_ATTEMPTS, job_id=job_id)


def _close(  # noqa: PLR0917 - the columns of one row
    tx: Transaction,
    job: Claimed,
    number: int,
    provider: str,
    started: float,
    error: ProviderError | None,
    finished: Finished | None,
) -> None:
    ended = finished if finished is not None else error
    assert ended is not None, "an attempt ends with an answer or with an error"
    capacity.settle_up(tx, job.id, job.fence, provider, ended.tokens, _full_until(error, finished))
    tx.run(
        queries.CLOSE_ATTEMPT,
        job_id=job.id,
        number=number,
        provider=provider,
        state="finished" if error is None else "failed",
        failure=None if error is None else error.kind,
        detail=None if error is None else error.detail[:MAX_DETAIL_CHARACTERS],
        cost_microdollars=ended.cost_microdollars,
        cost_estimated=ended.cost_estimated,
        tokens=ended.tokens,
        started_at=started,
        now=tx.now,
    )


def _full_until(error: ProviderError | None, finished: Finished | None) -> float | None:
    """Return until when the provider takes no more, as its refusal or its answer says."""
    if error is not None and error.kind == "limited":
        return error.until
    return None if finished is None else finished.full_until
