"""Limits of one account in place of its plan's, set by the operators of a product; in the caller's open transaction."""

from collections.abc import Mapping

from penstock.accounts import queries
from penstock.accounts.errors import invalid_field
from penstock.kit.database import Transaction
from penstock.kit.errors import not_found
from penstock.product.schema_offer import PlanLimits

NAMES = ("running", "jobs_per_hour", "jobs_per_day")
MOST = {"running": 100, "jobs_per_hour": 1_000_000, "jobs_per_day": 1_000_000}  # jobs


def own_limits(tx: Transaction, account_id: str) -> dict[str, int]:
    """Return the limits that were set for this account, without those that its plan decides."""
    row = tx.one(queries.OWN_LIMITS, id=account_id) or {}
    return {name: value for name, value in row.items() if value is not None}


def limits_of(tx: Transaction, account_id: str, plan: PlanLimits) -> PlanLimits:
    """Return what holds for an account: its own limits, and those of its plan where it has none."""
    own = own_limits(tx, account_id)
    return plan.model_copy(update=own) if own else plan


def change_limits(tx: Transaction, account_id: str, changes: Mapping[str, int | None]) -> dict[str, int]:
    """Set limits of an account, in jobs; None gives one back to the plan. Returns those that are its own now.

    Errors: `invalid_input`, `not_found`.
    """
    for name, value in changes.items():
        if name not in NAMES:
            raise invalid_field(f"limits.{name}", f"There is no such limit. There are: {', '.join(NAMES)}.")
        if value is not None and not 1 <= value <= MOST[name]:
            raise invalid_field(f"limits.{name}", f"Write a number from 1 to {MOST[name]:,}, or null for the plan's.")
    own: dict[str, int | None] = dict.fromkeys(NAMES) | own_limits(tx, account_id) | dict(changes)
    if not tx.run(queries.SET_LIMITS, id=account_id, **own):
        raise not_found("account")
    return own_limits(tx, account_id)
