"""One job as operators see it: its attempts, why its route went as it did, what it cost and what it earned.

Customers see none of this (`view.py` is theirs). What a customer wrote or uploaded is not shown here either.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from penstock.billing.worth import Spent, brought_in
from penstock.jobs import operator_queries, queries
from penstock.kit.database import Row, Transaction
from penstock.kit.errors import not_found

NOBODY_SKIPPED = "Nobody was passed over."


@dataclass(frozen=True)
class Money:
    """What a job or several cost and earned; amounts in millionths of a US dollar.

    Args:
        credits: that were spent.
        cost: of what is known; `estimated` if some of it is what such a call usually costs.
        unknown: attempts that were perhaps billed, and nobody knows how much.
        brought_in: what the customer paid for these credits; None where that is not known.
    """

    credits: int
    cost: int
    estimated: bool
    unknown: int
    brought_in: int | None

    @property
    def margin(self) -> int | None:
        """What is left of it; None as long as something is unknown."""
        return None if self.brought_in is None or self.unknown else self.brought_in - self.cost


@dataclass(frozen=True)
class Inspected:
    """A job's row, its attempts (oldest first), its money, and its route in sentences."""

    job: Row
    attempts: list[Row]
    money: Money
    route: list[str]


def inspect(tx: Transaction, job_id: str) -> Inspected:
    """Return everything that operators may see of a job. Errors: `not_found`."""
    job = tx.one(operator_queries.JOB, id=job_id)
    if job is None:
        raise not_found("job")
    attempts = tx.all(queries.ATTEMPTS, job_id=job_id)
    return Inspected(job, attempts, _money(tx, job_id, attempts), list(route_in_words(job["route_why"])))


def route_in_words(route_why: str | None) -> Iterator[str]:
    """Yield whom each choice of the last try asked and whom it passed over, and why, as sentences."""
    choices = json.loads(route_why) if route_why else []
    for choice in choices:
        asked = "Nobody could be asked" if choice["provider"] is None else f"Asked {choice['provider']}"
        passed = "; ".join(f"{name} ({reason})" for name, reason in choice["skipped"].items())
        yield f"{asked}, passing over {passed}."
    if not choices:
        yield NOBODY_SKIPPED


def _money(tx: Transaction, job_id: str, attempts: list[Row]) -> Money:
    spent = [Spent(**row) for row in tx.all(operator_queries.SPENT_CREDITS, job_id=job_id)]
    return Money(
        credits=sum(part.credits for part in spent),
        cost=sum(row["cost_microdollars"] or 0 for row in attempts),
        estimated=any(row["cost_estimated"] for row in attempts),
        unknown=sum(_perhaps_billed(row) for row in attempts),
        brought_in=brought_in(tx, spent),
    )


def _perhaps_billed(attempt: Row) -> bool:
    return attempt["cost_microdollars"] is None and (attempt["state"] != "failed" or attempt["failure"] == "unknown")
