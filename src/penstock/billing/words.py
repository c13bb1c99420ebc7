"""What a change of plan means for a customer's credits and money, in sentences. Pure."""

from datetime import UTC, datetime

from penstock.billing import prices
from penstock.billing.money_schemas import CancellationView
from penstock.billing.payments import PlanPurchase
from penstock.billing.service import Standing
from penstock.kit.clock import rfc3339
from penstock.product.schema import Product


def day(at: float) -> str:
    """Return a moment (seconds since 1970 UTC) as a day such as `9 December 2026`."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment.day} {moment:%B %Y}"


def when_cancelled(held: Standing, product: Product) -> CancellationView:
    """Return what cancelling would mean, to be told before."""
    ends_at = held.subscription.fact.period_end
    return CancellationView(ends_at=rfc3339(ends_at), credits_lost=held.lost, meaning=cancelled(held, product))


def cancelled(held: Standing, product: Product) -> str:
    """Say what a cancellation means."""
    title = _title(held.plan, product)
    stays = "rests now and ends on" if held.rests else "stays until"
    ends = f"{title} {stays} {day(held.subscription.fact.period_end)}, and you are not charged again."
    if product.payments.when_cancelled == "keep":
        return f"{ends} You keep your credits."
    return f"{ends} All credits that are left on that day are lost; today that would be {held.lost}. Use them before."


def kept(held: Standing, product: Product) -> str:
    """Say what undoing a cancellation means."""
    return f"{_title(held.plan, product)} goes on. It renews on {day(held.subscription.fact.period_end)}."


def change(held: Standing, purchase: PlanPurchase, product: Product, *, at_once: bool) -> str:
    """Say what a change of plan means."""
    old, new = _title(held.plan, product), _title(purchase.plan, product)
    price = f"${prices.dollars(purchase.cents)} a {purchase.interval}"
    if purchase.plan == held.plan and not at_once:
        return f"{old} goes on after {day(held.subscription.fact.period_end)}, for {price}. Your credits stay."
    if at_once:
        return (
            f"{new} ({price}) holds as soon as the difference for the time that is left is paid. It brings the "
            "difference in credits for that time; the credits that you have stay."
        )
    ends = day(held.subscription.fact.period_end)
    return f"{old} stays until {ends}. From then on it is {new}, for {price}. The credits that you have stay."


def _title(plan: str, product: Product) -> str:
    found = product.plans.get(plan)
    return plan if found is None else found.title
