"""Plans bring credits: at registration, and again at each monthly anniversary of it.

    registration -> first_month   in the transaction that makes the account
    maintenance  -> renew         one transaction for each account whose month has begun

Each month's lot has the source key `plan/ACCOUNT/N`, N being months since registration, and the ledger grants a source
once: repeats, crashes and two servers at the same moment can't grant a month twice. After an outage every month that
passed is granted, since credits carry over. Visitors get none: they have no account that would outlive a cookie. A plan
that is paid for brings its credits with each payment instead (`apply`).
"""

from collections.abc import Callable

import structlog

from penstock.accounts import people
from penstock.billing import queries
from penstock.billing.calendar import month_after, months_since
from penstock.kit.database import Database, Transaction
from penstock.ledger import service as ledger
from penstock.ledger.service import Grant
from penstock.product.schema import Product
from penstock.product.schema_offer import Plan

RENEW_LOOK_S = 60.0  # between two looks for plans whose month has begun
RENEW_BATCH_ACCOUNTS = 200
MAX_MONTHS_AT_ONCE = 24  # granted to one account in one look; the rest follows in the next

log = structlog.get_logger()


class PlanCredits:
    """Grants what plans bring.

    Args:
        product: gives the product that holds now.
    """

    def __init__(self, database: Database, product: Callable[[], Product]) -> None:
        """Grant by the terms of `product()` as they stand at each grant."""
        self._database, self._product = database, product
        self._begun_under: str | None = None  # the product version whose plans have all begun

    def first_month(self, tx: Transaction, account_id: str, plan_id: str) -> None:
        """Do `begin` for somebody who has just registered: what accounts call in the transaction that makes them."""
        begin(tx, self._product(), account_id, plan_id)

    def later_months(self, tx: Transaction, account_id: str, plan_id: str) -> None:
        """Do as `first_month` for somebody whose browser has had a free month already: this one brings nothing."""
        ledger.open_wallet(tx, account_id)
        plan = self._product().plans.get(plan_id)
        if plan is not None and plan.credits_month:
            people.set_plan(tx, account_id, plan_id, month_after(tx.now, 1))

    async def renew(self) -> int:
        """Grant every month that has begun; returns how many accounts got credits. A chore of maintenance."""
        renewed = 0
        after = ""
        while due := await self._database.read(_due, after):
            for account_id in due:
                renewed += await self._database.write(self._renew_one, account_id)
            after = due[-1]
        product = self._product()
        if self._begun_under != product.version:
            renewed += await self._begin_late(product)
            self._begun_under = product.version
        return renewed

    async def _begin_late(self, product: Product) -> int:
        """Begin with customers whose plan brought nothing when they came, now that the product file gives it credits.

        They begin with the month that runs, not with those in which the plan brought none.
        """
        begun = 0
        for plan_id, plan in product.plans.items():
            after = ""
            while plan.credits_month and (undated := await self._database.read(_undated, plan_id, after)):
                for account_id in undated:
                    begun += await self._database.write(self._begin_one, account_id)
                after = undated[-1]
        return begun

    def _renew_one(self, tx: Transaction, account_id: str) -> bool:
        ledger.open_wallet(tx, account_id)
        ledger.lock(tx, account_id)
        terms = tx.one(queries.TERMS[tx.dialect], id=account_id)
        if terms is None or terms["plan_renews_at"] is None or terms["plan_renews_at"] > tx.now:
            return False  # somebody was faster
        if tx.one(queries.SUBSCRIBED, account_id=account_id) is not None:
            return False  # the payment for the period that has begun is still to come
        plan = self._product().plans.get(terms["plan"])
        if plan is None or not plan.credits_month:
            log.info("plan.brings_nothing", account=account_id, plan=terms["plan"])
            people.set_plan(tx, account_id, terms["plan"], None)
            return False
        begun = terms["registered_at"]
        month, newest = months_since(begun, terms["plan_renews_at"]), months_since(begun, tx.now)
        last = min(newest, month + MAX_MONTHS_AT_ONCE - 1)
        for number in range(month, last + 1):
            _grant_month(tx, account_id, plan, number, begun)
        people.set_plan(tx, account_id, terms["plan"], month_after(begun, last + 1))
        return True

    def _begin_one(self, tx: Transaction, account_id: str) -> bool:
        ledger.open_wallet(tx, account_id)
        ledger.lock(tx, account_id)
        terms = tx.one(queries.TERMS[tx.dialect], id=account_id)
        plan = None if terms is None else self._product().plans.get(terms["plan"])
        if terms is None or plan is None or not plan.credits_month or terms["plan_renews_at"] is not None:
            return False
        month = months_since(terms["registered_at"], tx.now)
        _grant_month(tx, account_id, plan, month, terms["registered_at"])
        people.set_plan(tx, account_id, terms["plan"], month_after(terms["registered_at"], month + 1))
        return True


def begin(tx: Transaction, product: Product, account_id: str, plan_id: str) -> None:
    """Open the wallet of a new customer and grant what signing up brings, in the open transaction.

    The gift is given once for each account, by its source.
    """
    ledger.open_wallet(tx, account_id)
    if product.sign_in.gift_credits:
        gift = Grant(product.sign_in.gift_credits, "gift", f"gift/{account_id}/sign-up", "A gift for signing up")
        ledger.grant(tx, account_id, gift)
    plan = product.plans.get(plan_id)
    if plan is not None and plan.credits_month:
        _grant_month(tx, account_id, plan, 0, tx.now)
        people.set_plan(tx, account_id, plan_id, month_after(tx.now, 1))


def _grant_month(tx: Transaction, account_id: str, plan: Plan, number: int, registered_at: float) -> None:
    ends = None if plan.carry_over else month_after(registered_at, number + 1)
    source_key = f"plan/{account_id}/{number}"
    reason = f"{plan.title} plan: credits of a month"
    ledger.grant(tx, account_id, Grant(plan.credits_month, "plan", source_key, reason, expires_at=ends))


def _due(tx: Transaction, after: str) -> list[str]:
    return [row["id"] for row in tx.all(queries.DUE, now=tx.now, after=after, limit=RENEW_BATCH_ACCOUNTS)]


def _undated(tx: Transaction, plan: str, after: str) -> list[str]:
    return [row["id"] for row in tx.all(queries.UNDATED, plan=plan, after=after, limit=RENEW_BATCH_ACCOUNTS)]
