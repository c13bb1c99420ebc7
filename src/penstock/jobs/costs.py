"""What a job may still cost: which providers would make it dearer than the product file allows.

    read (what its attempts have cost, what another one is expected to cost) -> route.over_ceiling (pure)

What a call is expected to cost is the mean of what recent calls for the operation were measured to cost, or else what
the product file says. An attempt that was perhaps billed counts as such a call.
"""

import math
from collections.abc import Collection

from penstock.jobs import queries
from penstock.jobs.flow import Claimed
from penstock.kit.database import Transaction
from penstock.providers.prices import microdollars, usual_cost
from penstock.providers.route import over_ceiling

RECENT_S = 86_400.0  # calls of the last day tell what the next one costs
RECENT_CALLS = 100  # of one provider, the newest


def ceilings(job: Claimed) -> dict[str, int]:
    """Return what the job may cost by provider of its route, in microdollars; the lower one where two are named."""
    whole = job.operation.max_cost_usd
    named = {
        leg.provider: [each for each in (leg.max_cost_usd, whole) if each is not None] for leg in job.operation.legs
    }
    return {name: min(microdollars(each) for each in most) for name, most in named.items() if most}


def too_dear(tx: Transaction, job: Claimed, billed: Collection[str]) -> dict[str, str]:
    """Return why providers would make the job too dear, by name.

    Args:
        billed: the providers that are on and may bill; the others cost nothing.
    """
    limits = {name: most for name, most in ceilings(job).items() if name in billed}
    attempts = tx.all(queries.SPENT, job_id=job.id)
    asked = {row["provider"] for row in attempts if row["perhaps"]}
    expected = {name: expected_cost(tx, job, name) for name in {*limits, *asked} if name in job.product.providers}
    spent = sum(
        expected.get(row["provider"], 0) if row["perhaps"] else row["cost_microdollars"] or 0 for row in attempts
    )
    return over_ceiling(limits, spent, expected)


def expected_cost(tx: Transaction, job: Claimed, provider: str) -> int:
    """Return what one call for the job's operation is expected to cost, in microdollars."""
    mean = tx.value(
        queries.MEASURED_COST,
        provider=provider,
        operation=job.operation_id,
        since=tx.now - RECENT_S,
        limit=RECENT_CALLS,
    )
    return usual_cost(job.product.providers[provider]) if mean is None else math.ceil(mean)
