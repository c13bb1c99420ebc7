"""What may be bought, and for how much: the product file's words as purchases. Pure."""

from decimal import Decimal

from penstock.billing.payments import CreditPurchase, Interval, PlanPurchase
from penstock.kit.errors import FieldError, Problem
from penstock.product.schema import Product
from penstock.product.schema_offer import Plan

CENTS = 100
MONTHS_A_YEAR = 12


def cents(dollars: str | Decimal) -> int:
    """Return an amount such as `4.99` in cents."""
    return int(Decimal(dollars) * CENTS)


def dollars(amount: int) -> str:
    """Return cents as an amount such as `4.99`."""
    return f"{amount // CENTS}.{amount % CENTS:02d}"


def price_of(plan: Plan, interval: Interval) -> int | None:
    """Return what a plan costs an interval, in cents; None where it can't be bought so."""
    price = plan.price_usd_month if interval == "month" else plan.price_usd_year
    return None if price is None else cents(price)


def a_month(plan: Plan, interval: Interval) -> Decimal:
    """Return what a plan costs a month, in cents: by which plans are compared."""
    price = price_of(plan, interval) or 0
    return Decimal(price) / (MONTHS_A_YEAR if interval == "year" else 1)


def plan_purchase(product: Product, plan_id: str, interval: Interval) -> PlanPurchase:
    """Return the purchase of a plan. Errors: `invalid_input` for one that can't be bought."""
    plan = product.plans.get(plan_id)
    if plan is None or plan.price_usd_month is None:
        raise _invalid("plan", "There is no such plan to buy.")
    price = price_of(plan, interval)
    if price is None:
        raise _invalid("interval", f"{plan.title} can be paid by the month only.")
    return PlanPurchase(plan_id, f"{product.brand.title} {plan.title}", interval, price)


def top_up_purchase(product: Product, topup_id: str) -> CreditPurchase:
    """Return the purchase of a top-up. Errors: `invalid_input` for one that is not on offer."""
    topup = product.topups.get(topup_id)
    if topup is None:
        raise _invalid("topup", "There is no such top-up.")
    return CreditPurchase("top_up", f"Top-up: {product.worth(topup.credits)}", topup.credits, cents(topup.price_usd))


def deposit_purchase(product: Product, amount: Decimal) -> CreditPurchase:
    """Return the purchase of credits for `amount` dollars. Errors: `invalid_input` for one out of bounds."""
    terms = product.payments.amount
    if terms is None:
        raise _invalid("amount", "Credits are not sold for an amount of your choice here.")
    if not Decimal(terms.min_usd) <= amount <= Decimal(terms.max_usd) or amount * CENTS % 1:
        raise _invalid("amount", f"Choose an amount from ${terms.min_usd} to ${terms.max_usd}, in whole cents.")
    price = cents(amount)
    if part := price % terms.step_cents:
        near = (price - part, price - part + terms.step_cents)
        choice = [f"${dollars(each)}" for each in near if cents(terms.min_usd) <= each <= cents(terms.max_usd)]
        reason = f"${dollars(price)} would pay for a part of a credit, too."
        raise _invalid("amount", f"{reason} Choose {' or '.join(choice)}.")
    brings = price * terms.credits_per_usd // CENTS
    return CreditPurchase("deposit", f"Deposit: {product.worth(brings)}", brings, price)


def _invalid(field: str, message: str) -> Problem:
    return Problem("invalid_input", message, errors=[FieldError(field, message)])
