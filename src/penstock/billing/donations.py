"""Donations: payments of any amount that bring no credits and make a donor of who gives.

    checkout -> facts -> record -> apply (grants nothing for it) -> follow: the donor's plan, and its end

As with all payments, what follows is worked out from everything that is known of one customer, never from what came
last: a donation gives days from when it was made, one after the other, and one whose money went back gives none. The
ledger has no part in it. How often people who look at the page for donations give is counted here, too.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import structlog

from penstock.accounts import people
from penstock.billing import prices, queries
from penstock.billing.apply import SetPlan, bring_in_line, standing, subscriptions_of
from penstock.billing.payments import CreditPurchase, PaymentFact
from penstock.billing.record import read_payment
from penstock.billing.schedule import DAY_S
from penstock.kit.database import Transaction
from penstock.kit.errors import FieldError, Problem
from penstock.product.schema import Product
from penstock.product.schema_offer import Donations as Terms

Place = Literal["result", "limit", "pricing", "account", "elsewhere"]
KEEP_CLICKS_S = 400 * DAY_S

log = structlog.get_logger()


@dataclass(frozen=True)
class Given:
    """A donation that was paid; `gone` cents of it went back."""

    provider: str
    fact: PaymentFact
    gone: int

    @property
    def at(self) -> float:
        """When it was paid, in seconds since 1970 UTC."""
        return self.fact.at if self.fact.paid_at is None else self.fact.paid_at


@dataclass(frozen=True)
class Conversion:
    """How many people went to the page for donations, how many gave, how often, and how much in cents."""

    looked: int
    gave: int
    donations: int
    cents: int


def donation_purchase(product: Product, amount: Decimal) -> CreditPurchase:
    """Return a donation of `amount` dollars as something to be paid. Errors: `invalid_input`."""
    terms = product.donations
    if terms is None:
        raise _invalid("No donations are taken here.")
    if not Decimal(terms.min_usd) <= amount <= Decimal(terms.max_usd) or amount * prices.CENTS % 1:
        raise _invalid(f"Choose an amount from ${terms.min_usd} to ${terms.max_usd}, in whole cents.")
    return CreditPurchase("donation", f"Donation to {product.brand.title}", 0, prices.cents(amount))


def follow(tx: Transaction, account_id: str, product: Product, set_plan: SetPlan) -> None:
    """Do for one customer what follows from the facts, donations included. See `apply.bring_in_line`."""
    bring_in_line(tx, account_id, product, set_plan)
    terms = product.donations
    given = _given(tx, account_id)
    if terms is None or not given:
        return
    until = donor_until(given, terms)
    for each in given:  # when the last of them ends, maintenance looks again
        next_at = until if each is given[-1] and tx.now < until < math.inf else None
        tx.run(queries.SET_NEXT, provider=each.provider, id=each.fact.id, next_at=next_at)
    if standing(list(subscriptions_of(tx, account_id)), product, tx.now) is not None:
        return  # a plan that is paid for goes before
    account = people.get(tx, account_id)
    plan = terms.plan if tx.now < until else product.default_plan
    if plan != account.plan and terms.plan in {plan, account.plan}:
        set_plan(tx, account_id, plan, None)
        log.info("plan.set", account=account_id, plan=plan, donor=tx.now < until)


def donor_until(given: list[Given], terms: Terms) -> float:
    """Return until when donations make a donor, in seconds since 1970 UTC: infinite for good, 0 for never.

    Args:
        given: in the order in which they were made.
    """
    until = 0.0
    for each in given:
        if _counts(each, terms):
            until = math.inf if terms.days is None else max(until, each.at) + terms.days * DAY_S
    return until


def note_click(tx: Transaction, account_id: str, place: Place) -> None:
    """Note that somebody went to the page for donations from a place; once a day for each."""
    tx.run(queries.NOTE_CLICK, account_id=account_id, day=int(tx.now // DAY_S), place=place)


def conversion(tx: Transaction, since: float) -> Conversion:
    """Return how donations went since a moment. What went back is not counted."""
    looked = tx.value(queries.CLICKED_SINCE, day=int(since // DAY_S))
    rows = tx.all(queries.DONATIONS_SINCE, since=since)
    kept = [(row, left) for row in rows if (left := max(0, row["cents"] - row["gone"])) > 0]
    return Conversion(
        int(looked), len({row["account_id"] for row, _ in kept}), len(kept), sum(left for _, left in kept)
    )


def forget_clicks(tx: Transaction) -> int:
    """Forget old clicks; returns how many."""
    return tx.run(queries.FORGET_CLICKS, day=int((tx.now - KEEP_CLICKS_S) // DAY_S))


def _given(tx: Transaction, account_id: str) -> list[Given]:
    rows = tx.all(queries.DONATIONS_OF, account_id=account_id)
    return [Given(row["provider"], read_payment(row["fact"]), int(row["gone"])) for row in rows]


def _counts(given: Given, terms: Terms) -> bool:
    """Return whether enough of a donation is left: what it takes today, or, if it was less, what was given."""
    left = given.fact.cents - given.gone
    return left > 0 and left >= min(prices.cents(terms.min_usd), given.fact.cents)


def _invalid(message: str) -> Problem:
    return Problem("invalid_input", message, errors=[FieldError("donation", message)])
