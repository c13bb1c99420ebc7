"""What customers do with their plan and their money: buy, change, cancel, look.

The provider is asked between transactions. What it answers goes the same way as its webhooks, so a plan that was
cancelled shows it at once, and the webhook that follows changes nothing.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog

from penstock.billing import prices, queries
from penstock.billing.apply import Subscription, plan_in_force, resting, standing, subscriptions_of
from penstock.billing.payments import (
    Buyer,
    Fact,
    Interval,
    PaymentDeclinedError,
    PaymentFact,
    PaymentRefusedError,
    Payments,
    PaymentUnavailableError,
    PlanPurchase,
    Purchase,
    Returns,
)
from penstock.billing.record import read_payment
from penstock.billing.test_checkout import OpenCheckout, TestPayments
from penstock.billing.webhooks import Intake
from penstock.kit.database import Database, Transaction
from penstock.kit.errors import Action, Problem, not_found
from penstock.kit.ids import new_id
from penstock.ledger import statement
from penstock.product.schema import Product

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(frozen=True)
class Standing:
    """A customer's subscription as it stands.

    Args:
        plan: the plan that is paid for.
        next_plan: the plan that the next period will be billed by, if that is another one.
        lost: credits that would be gone if it ended now; 0 where the product keeps them.
        rests: it gives no plan for the time being: it is paused, or was not paid for too long.
    """

    subscription: Subscription
    plan: str
    next_plan: str | None
    lost: int
    rests: bool = False


@dataclass(frozen=True)
class Entry:
    """One payment in a customer's history; `granted` credits came of it, `clawed` of them went back."""

    provider: str
    fact: PaymentFact
    status: str
    made_at: float
    granted: int
    clawed: int


class Billing:
    """Buying and what follows, for one product.

    Args:
        payments: the payment provider; None where there is none.
    """

    def __init__(
        self, database: Database, product: Callable[[], Product], payments: Payments | None, intake: Intake
    ) -> None:
        self.database, self._product, self.payments, self._intake = database, product, payments, intake

    @property
    def product(self) -> Product:
        """The product that holds now."""
        return self._product()

    async def checkout(self, buyer: Buyer, purchase: Purchase, back: Returns, key: str | None) -> str:
        """Return the address of a page where the purchase is paid.

        Errors: `wrong_state` for a second plan, `unavailable` without a provider, or while it does not answer.
        """
        payments = self._provider()
        if isinstance(purchase, PlanPurchase) and await self.standing(buyer.account_id) is not None:
            raise Problem(
                "wrong_state",
                "You have a plan already. Change it on your account page.",
                actions=[Action("upgrade", "Change your plan", "/account")],
            )
        customer = await self._customer(buyer)
        request = _request(f"checkout-{buyer.account_id}", key, purchase)
        return await self._asked(payments.checkout(customer, buyer, purchase, back, request))

    async def portal(self, account_id: str, back: Returns) -> str:
        """Return the address of the provider's page for payment methods and invoices.

        Errors: `wrong_state` for somebody who never paid, `unavailable`.
        """
        payments = self._provider()
        customer = await self.database.read(_customer, payments.name, account_id)
        if customer is None or isinstance(payments, TestPayments):
            raise Problem("wrong_state", "There is nothing to manage yet: you have not paid for anything here.")
        return await self._asked(payments.portal(customer, back))

    async def standing(self, account_id: str) -> Standing | None:
        """Return the subscription that gives somebody's plan, or would if it did not rest; None where there is none."""
        return await self.database.read(_standing, account_id, self._product())

    async def change(self, account_id: str, plan: str, interval: Interval | None, key: str | None) -> Standing:
        """Put somebody on another plan: a dearer one at once, a cheaper one from the next period on.

        Errors: `wrong_state` without a subscription, or where this can't be changed; `invalid_input`; `unavailable`.
        """
        held, purchase, at_once = await self.plan_change(account_id, plan, interval)
        payments = self._provider()
        name = _request(f"change-{held.subscription.fact.id}", key, purchase)
        fact = held.subscription.fact
        if at_once and held.next_plan is not None:
            # A cheaper plan was to follow. Without this, the difference would be counted from that one and paid twice.
            kept = prices.plan_purchase(self._product(), held.plan, fact.interval)
            await self._asked(payments.change(fact, kept, at_once=False, key=f"{name}-back"))
            fact = replace(fact, plan=held.plan)
        facts = await self._asked(payments.change(fact, purchase, at_once=at_once, key=name))
        return await self._taken(account_id, facts)

    async def plan_change(
        self, account_id: str, plan: str, interval: Interval | None
    ) -> tuple[Standing, PlanPurchase, bool]:
        """Return what a change of plan would be: of what, to what, and whether at once. Errors as `change`."""
        held = await self._held(account_id)
        fact = held.subscription.fact
        product = self._product()
        purchase = prices.plan_purchase(product, plan, interval or fact.interval)
        if held.rests:
            raise Problem("wrong_state", "Your plan rests. Let it go on first, under payment methods; then change it.")
        if fact.cancel_at is not None:
            raise Problem("wrong_state", "Your plan is about to end. Keep it first, then change it.")
        if (plan, purchase.interval) == (held.next_plan or held.plan, fact.interval):
            raise Problem("wrong_state", "That is the plan that you have.")
        if fact.interval == "year" and purchase.interval == "month":
            raise Problem("wrong_state", "Your plan is paid for the year. Cancel it to choose another when it ends.")
        now_plan = product.plans.get(held.plan)
        dearer = now_plan is None or prices.a_month(product.plans[plan], purchase.interval) > prices.a_month(
            now_plan, fact.interval
        )
        return held, purchase, dearer or purchase.interval != fact.interval

    async def cancel(self, account_id: str, key: str | None) -> Standing:
        """Let somebody's plan end with its period. Errors: `wrong_state` without one; `unavailable`."""
        held = await self._held(account_id)
        request = _request(f"cancel-{held.subscription.fact.id}", key)
        facts = await self._asked(self._provider().cancel(held.subscription.fact, request))
        return await self._taken(account_id, facts)

    async def resume(self, account_id: str, key: str | None) -> Standing:
        """Let a plan that was to end go on. Errors: `wrong_state` without one; `unavailable`."""
        held = await self._held(account_id)
        if held.subscription.fact.cancel_at is None:
            raise Problem("wrong_state", "Your plan goes on already.")
        request = _request(f"resume-{held.subscription.fact.id}", key)
        facts = await self._asked(self._provider().resume(held.subscription.fact, request))
        return await self._taken(account_id, facts)

    async def history(self, account_id: str, before: tuple[float, str], limit: int) -> list[Entry]:
        """Return up to `limit` payments made before (time, id), newest first."""
        return await self.database.read(_history, account_id, before, limit)

    async def webhook(self, name: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Take a webhook of the provider with a name; False for one that was taken before.

        Errors: `not_found` where that is not our provider; WebhookRefusedError; anything else: it must come again.
        """
        if self.payments is None or isinstance(self.payments, TestPayments) or self.payments.name != name:
            raise not_found("payment provider")
        return await self._intake.receive(self.payments, headers, body)

    def test_page(self, checkout_id: str, account_id: str) -> OpenCheckout:
        """Return an open page of the test checkout. Errors: `not_found`."""
        found = self.payments.page(checkout_id, account_id) if isinstance(self.payments, TestPayments) else None
        if found is None:
            raise not_found("test checkout")
        return found

    async def test_pay(self, checkout_id: str, account_id: str) -> str:
        """Use a page of the test checkout; returns where it leads back to. Errors: `not_found`."""
        opened = self.test_page(checkout_id, account_id)
        assert isinstance(self.payments, TestPayments)
        await self._intake.take(self.payments.name, self.payments.pay(opened))
        return opened.back.paid

    async def renew_test_plans(self) -> int:
        """Begin the next period of plans that were bought with the test checkout. A chore of maintenance."""
        if not isinstance(self.payments, TestPayments):
            return 0
        renewed = 0
        for row in await self.database.read(_test_subscriptions):
            held = await self.standing(row)
            facts = () if held is None else self.payments.renew(held.subscription.fact)
            if facts:
                await self._intake.take(self.payments.name, facts)
                renewed += 1
        return renewed

    def _provider(self) -> Payments:
        if self.payments is None:
            raise Problem("unavailable", "Nothing can be bought here right now. Please try again later.")
        return self.payments

    async def _held(self, account_id: str) -> Standing:
        held = await self.standing(account_id)
        if held is None:
            raise Problem(
                "wrong_state",
                "You have no paid plan.",
                actions=[Action("upgrade", "See all plans", "/pricing")],
            )
        if self._provider().name != held.subscription.provider:
            raise Problem("unavailable", "Your plan can't be changed here. Please write to us.")
        return held

    async def _customer(self, buyer: Buyer) -> str:
        payments = self._provider()
        known = await self.database.read(_customer, payments.name, buyer.account_id)
        if known is None:
            made = await self._asked(payments.customer(buyer))
            known = await self.database.write(_keep_customer, payments.name, made, buyer.account_id)
        return known

    async def _taken(self, account_id: str, facts: Sequence[Fact]) -> Standing:
        await self._intake.take(self._provider().name, tuple(facts))
        return await self._held(account_id)

    async def _asked(self, question: Awaitable[T]) -> T:
        try:
            return await question
        except PaymentDeclinedError as error:
            log.info("payments.declined", error=str(error))
            detail = "Your payment did not go through, so nothing was changed. Check your payment method and try again."
            raise Problem("wrong_state", detail) from error
        except (PaymentRefusedError, PaymentUnavailableError) as error:
            log.error("payments.failed", kind=type(error).__name__, error=str(error))
            detail = "Our payment service is not answering as it should. Nothing was charged; please try again soon."
            raise Problem("unavailable", detail, actions=[Action("wait", "Try again")]) from error


def _request(what: str, key: str | None, purchase: Purchase | None = None) -> str:
    """Return what names a request at the provider: the same for the same key of the customer's and the same purchase.

    A digest, since a provider takes fewer characters than we do; another purchase under the same key is another one.
    """
    if key is None:
        return f"{what}-{new_id('key')}"
    return f"{what}-{hashlib.sha256(f'{key} {purchase}'.encode()).hexdigest()}"


def _customer(tx: Transaction, provider: str, account_id: str) -> str | None:
    found = tx.value(queries.CUSTOMER_OF, provider=provider, account_id=account_id)
    return None if found is None else str(found)


def _keep_customer(tx: Transaction, provider: str, customer_id: str, account_id: str) -> str:
    """Keep a customer's id; of two made at once the first stays, and is returned."""
    tx.run(queries.INSERT_CUSTOMER, provider=provider, id=customer_id, account_id=account_id, now=tx.now)
    return _customer(tx, provider, account_id) or customer_id


def _standing(tx: Transaction, account_id: str, product: Product) -> Standing | None:
    found = list(subscriptions_of(tx, account_id))
    best = standing(found, product, tx.now)
    rests, best = best is None, best or resting(found)
    plan = None if best is None else plan_in_force(best)
    if best is None or plan is None:
        return None
    following = best.fact.plan if best.fact.plan != plan else None
    forfeits = product.payments.when_cancelled == "forfeit"
    lost = statement.balance(tx, account_id).available if forfeits else 0
    return Standing(best, plan, following, lost, rests)


def _history(tx: Transaction, account_id: str, before: tuple[float, str], limit: int) -> list[Entry]:
    rows = tx.all(queries.HISTORY, account_id=account_id, before=before[0], before_id=before[1], limit=limit)
    return [
        Entry(
            row["provider"],
            read_payment(row["fact"]),
            row["status"],
            row["made_at"],
            row["granted"],
            row["clawed"],
        )
        for row in rows
    ]


def _test_subscriptions(tx: Transaction) -> list[str]:
    return [row["account_id"] for row in tx.all(queries.TEST_SUBSCRIPTIONS)]
