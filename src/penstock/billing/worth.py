"""What a credit brought in: money paid for the lot that it came from, by the payment itself.

A lot's source names what it was granted for (`billing.apply`). Gifts and months of a plan that nobody paid for brought
nothing; a payment's cents are shared evenly among all credits that it brings, those of months to come included. It is
what customers paid: before the payment provider's fees, and whatever was refunded later.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from penstock.billing import queries
from penstock.billing.record import read_payment
from penstock.billing.schedule import portions
from penstock.kit.database import Transaction

MICRODOLLARS_PER_CENT = 10_000
UNPAID_KINDS = frozenset({"gift"})
UNPAID_SOURCE = "plan"  # the first part of a source: a month that came without a payment (`billing.plans`)
CURRENCY = "usd"


@dataclass(frozen=True)
class Spent:
    """Credits of one lot that a job spent."""

    kind: str
    source: str
    credits: int


def brought_in(tx: Transaction, spent: Iterable[Spent]) -> int | None:
    """Return what credits brought in, in millionths of a US dollar; None where it is not known of some of them."""
    total = Fraction(0)
    for part in spent:
        worth = _credit_worth(tx, part)
        if worth is None:
            return None
        total += worth * part.credits
    return round(total)


def _credit_worth(tx: Transaction, part: Spent) -> Fraction | None:
    """Return what one credit of a lot brought in, in millionths of a US dollar."""
    provider, _, rest = part.source.partition("/")
    if part.kind in UNPAID_KINDS or provider == UNPAID_SOURCE:
        return Fraction(0)
    row = tx.one(queries.PAYMENT, provider=provider, id=rest.partition("/")[0])
    if row is None:
        return None
    fact = read_payment(row["fact"])
    brings = sum(portion.credits for portion in portions(fact.lines)) if fact.kind == "plan" else fact.credits
    if brings <= 0 or fact.currency.lower() != CURRENCY:
        return None
    return Fraction(fact.cents * MICRODOLLARS_PER_CENT, brings)
