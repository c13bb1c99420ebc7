"""What follows from a failure: another try, or the end with the credits given back. Pure."""

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from penstock.jobs.capacity import NoRoomError
from penstock.jobs.flow import Claimed
from penstock.jobs.rank import backoff
from penstock.product.schema import Product
from penstock.product.texts import FailureKind, failure_text
from penstock.providers.route import RETRIED
from penstock.providers.seam import ProviderError


@dataclass(frozen=True)
class TryAgain:
    """Back to the queue, not before `run_at`; `spent` is False where the try doesn't count."""

    run_at: float
    spent: bool


@dataclass(frozen=True)
class GiveUp:
    """The end; `error` is what the customer sees."""

    error: Mapping[str, Any]


def after_failure(
    job: Claimed, error: ProviderError, *, charged_twice: bool, now: float, chance: random.Random
) -> TryAgain | GiveUp:
    """Decide what follows.

    Args:
        charged_twice: whether another try may pay a provider a second time for this job.
    """
    if error.kind not in RETRIED or (charged_twice and not job.operation.allow_second_charge):
        return GiveUp(customer_error(job, error))
    if isinstance(error, NoRoomError):
        return TryAgain(max(now, error.until or now), spent=False)
    if error.kind == "limited":
        pause = backoff(job.attempts, chance)
        return TryAgain(max(now + pause, error.until or 0.0), spent=False)
    if job.attempts >= job.plan.attempts:
        return GiveUp(customer_error(job, error))
    return TryAgain(max(now + backoff(job.attempts, chance), error.until or 0.0), spent=True)


def customer_error(job: Claimed, error: ProviderError) -> dict[str, Any]:
    """Return the job's `error`: what happened in the customer's words, and what to do."""
    return told(error.kind, job.product, error.message)


def told(kind: FailureKind, product: Product, message: str | None = None) -> dict[str, Any]:
    """Return what a customer is told of a kind of failure, as the `error` of a job."""
    said = failure_text(kind, product, message=message)
    actions = [asdict(action) for action in said.actions]
    return {"code": said.code, "title": said.title, "detail": said.detail, "actions": actions}
