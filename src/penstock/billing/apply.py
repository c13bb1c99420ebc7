"""What follows from what is known of a customer's payments: credits, their loss, and the plan.

    facts written down -> bring_in_line -> ledger, plan        in the transaction that wrote them

Nothing here looks at what came last. It compares everything that is known of one customer with what was done about it,
and does the rest, so it may run at any time, and the order in which facts came leaves no trace:

- a payment that was made brings its credits: those of a plan month by month, each once by its invoice line;
- money that went back takes the same share of the credits along, money that came back returns them;
- a subscription that ended takes what was acquired until then (unless the product keeps it);
- the plan is that of the paid line that reaches furthest, while its subscription stands.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import structlog

from penstock.accounts import people
from penstock.billing import queries
from penstock.billing.calendar import month_after, months_since
from penstock.billing.payments import Line, PaymentFact, SubscriptionFact
from penstock.billing.record import read_payment, read_subscription
from penstock.billing.schedule import DAY_S, Portion, last_line, portions
from penstock.kit.database import Row, Transaction
from penstock.ledger import service as ledger
from penstock.ledger.claw import claw_back
from penstock.ledger.service import Grant, LotKind
from penstock.product.schema import Product

SetPlan = Callable[[Transaction, str, str, float | None], None]
_LOT_KINDS: dict[str, LotKind] = {"plan": "plan", "top_up": "top_up", "deposit": "deposit"}
_BRINGS_NOTHING = frozenset({"donation", "other"})
_LIVE = frozenset({"active", "past_due"})
_OPEN = _LIVE | {"paused", "unpaid"}

log = structlog.get_logger()


@dataclass(frozen=True)
class Paid:
    """A payment that was made, with what was done about it so far."""

    provider: str
    fact: PaymentFact
    granted: int
    portions: int
    next_at: float | None
    clawed: int
    corrections: int
    flag: str | None

    @property
    def key(self) -> str:
        """What names it in the ledger."""
        return f"{self.provider}/{self.fact.id}"

    @property
    def acquired_at(self) -> float:
        """When it was paid, in seconds since 1970 UTC."""
        return self.fact.at if self.fact.paid_at is None else self.fact.paid_at


@dataclass(frozen=True)
class Subscription:
    """A subscription with the payments that were made for it."""

    provider: str
    fact: SubscriptionFact
    payments: tuple[Paid, ...]

    @property
    def ended_at(self) -> float | None:
        """When it ended, in seconds since 1970 UTC; None while it stands."""
        if self.fact.status != "ended":
            return None
        return self.fact.at if self.fact.ended_at is None else self.fact.ended_at

    def grace_ends_at(self, product: Product) -> float | None:
        """Return until when its plan stays though the period that runs is not paid; None where it is."""
        if self.fact.status != "past_due":
            return None
        return self.fact.period_start + product.payments.grace_days * DAY_S


def bring_in_line(tx: Transaction, account_id: str, product: Product, set_plan: SetPlan) -> None:
    """Do for one customer what follows from the facts. Errors: those of the ledger, which would be ours."""
    ledger.open_wallet(tx, account_id)
    ledger.lock(tx, account_id)
    payments = [_grant_due(tx, account_id, paid, product) for paid in _with_ends(tx, account_id)]
    _correct(tx, account_id, payments)
    found = list(subscriptions_of(tx, account_id, payments))
    if product.payments.when_cancelled == "forfeit":
        _forfeit_ended(tx, account_id, found)
    _set_plan(tx, account_id, found, product, set_plan)


def subscriptions_of(tx: Transaction, account_id: str, payments: list[Paid] | None = None) -> Iterator[Subscription]:
    """Yield a customer's subscriptions with their payments."""
    made = _paid(tx, account_id) if payments is None else payments
    for row in tx.all(queries.SUBSCRIPTIONS_OF, account_id=account_id):
        own = (paid for paid in made if (paid.provider, paid.fact.subscription_id) == (row["provider"], row["id"]))
        yield Subscription(row["provider"], read_subscription(row["fact"]), tuple(own))


def standing(found: list[Subscription], product: Product, now: float) -> Subscription | None:
    """Return the subscription that gives the plan: of several that stand the one that reaches furthest."""
    live = [each for each in found if each.fact.status in _LIVE and last_line(_lines(each)) is not None]
    graced = [each for each in live if (end := each.grace_ends_at(product)) is None or now < end]
    return max(graced, key=lambda each: (each.fact.period_end, each.fact.id), default=None)


def resting(found: list[Subscription]) -> Subscription | None:
    """Return the subscription that gives no plan now and is not over either: paused, or unpaid beyond its grace."""
    open_ = [each for each in found if each.fact.status in _OPEN and last_line(_lines(each)) is not None]
    return max(open_, key=lambda each: (each.fact.period_end, each.fact.id), default=None)


def plan_in_force(subscription: Subscription) -> str | None:
    """Return the plan that is paid for: that of the line that reaches furthest."""
    line = last_line(_lines(subscription))
    return None if line is None else line.plan


def _paid(tx: Transaction, account_id: str) -> list[Paid]:
    return [_read_paid(row) for row in tx.all(queries.PAYMENTS_OF, account_id=account_id)]


def _read_paid(row: Row) -> Paid:
    return Paid(**{**row, "fact": read_payment(row["fact"])})


def _with_ends(tx: Transaction, account_id: str) -> list[tuple[Paid, float | None]]:
    """Return each payment with the moment from which on its subscription brings nothing more."""
    payments = _paid(tx, account_id)
    ends = {(each.provider, each.fact.id): each.ended_at for each in subscriptions_of(tx, account_id, payments)}
    return [(paid, ends.get((paid.provider, paid.fact.subscription_id or ""))) for paid in payments]


def _grant_due(tx: Transaction, account_id: str, with_end: tuple[Paid, float | None], product: Product) -> Paid:
    """Grant what a payment has brought until now; returns it with what was done."""
    paid, ended_at = with_end
    if paid.next_at is None and paid.portions:
        return paid
    due = _portions(paid)
    flag = None if due or paid.fact.kind in _BRINGS_NOTHING else "paid, but it is not known for what"
    granted, count = paid.granted, paid.portions
    for portion in due[paid.portions :]:
        if portion.due_at > tx.now and count:  # the first comes with the payment, even by a clock that is behind
            break
        count += 1
        if ended_at is None or portion.due_at < ended_at:
            granted += _grant(tx, account_id, paid, portion, product)
    next_at = due[count].due_at if count < len(due) else None
    if (granted, count, next_at, flag) == (paid.granted, paid.portions, paid.next_at, paid.flag):
        return paid
    tx.run(
        queries.SET_GRANTED,
        provider=paid.provider,
        id=paid.fact.id,
        granted=granted,
        portions=count,
        next_at=next_at,
        flag=flag,
    )
    if flag is not None:
        log.error("payment.not_understood", provider=paid.provider, payment=paid.fact.id, account=account_id)
    return replace(paid, granted=granted, portions=count, next_at=next_at, flag=flag)


def _portions(paid: Paid) -> tuple[Portion, ...]:
    fact = paid.fact
    if fact.kind == "plan":
        return portions(fact.lines)
    return (Portion("", paid.acquired_at, 0.0, fact.credits),) if fact.credits else ()


def _grant(tx: Transaction, account_id: str, paid: Paid, portion: Portion, product: Product) -> int:
    """Grant one portion; returns its credits, whether they were granted now or before."""
    fact = paid.fact
    plan = last_line(fact.lines)
    ends = plan is not None and plan.plan in product.plans and not product.plans[plan.plan].carry_over
    given = Grant(
        portion.credits,
        _LOT_KINDS[fact.kind],
        _source(paid, portion),
        fact.title,
        expires_at=portion.until if ends else None,
        acquired_at=paid.acquired_at,  # a month granted before an earlier end became known goes with that end
    )
    ledger.grant(tx, account_id, given)
    return portion.credits


def _source(paid: Paid, portion: Portion) -> str:
    return f"{paid.key}/{portion.source}" if portion.source else paid.key


def _correct(tx: Transaction, account_id: str, payments: list[Paid]) -> None:
    """Take back the share of each payment's credits whose money went back; return what was taken wrongly."""
    gone: dict[tuple[str, str], Row] = {}
    for provider in sorted({paid.provider for paid in payments}):
        rows = tx.all(queries.REVERSED, account_id=account_id, provider=provider)
        gone |= {(provider, row["payment_id"]): row for row in rows}
    for paid in payments:
        row = gone.get((paid.provider, paid.fact.id))
        target = _share(paid, 0 if row is None else int(row["cents"]))
        if target != paid.clawed:
            disputed = row is not None and bool(row["disputed"])
            _correct_one(tx, account_id, paid, target, "A dispute" if disputed else "A refund")
            tx.run(queries.SET_CLAWED, provider=paid.provider, id=paid.fact.id, clawed=target)


def _share(paid: Paid, cents: int) -> int:
    """Return how many credits belong to `cents` of a payment, rounded down; all of them for all of it."""
    if paid.fact.cents <= 0 or cents <= 0:
        return 0
    return paid.granted * min(cents, paid.fact.cents) // paid.fact.cents


def _correct_one(tx: Transaction, account_id: str, paid: Paid, target: int, what: str) -> None:
    key = f"{paid.key}/correction/{paid.corrections}"
    if target > paid.clawed:
        sources = [_source(paid, portion) for portion in _portions(paid)[: paid.portions]]
        returned = [f"{paid.key}/correction/{number}" for number in range(paid.corrections)]
        wallet = ledger.lock(tx, account_id)
        claw_back(tx, wallet, [*sources, *returned], target - paid.clawed, key, f"{what}: {paid.fact.title}")
        return
    given = Grant(
        paid.clawed - target,
        _LOT_KINDS[paid.fact.kind],
        key,
        f"The money came back: {paid.fact.title}",
        acquired_at=paid.acquired_at,
        origin="clawed_back",
    )
    ledger.grant(tx, account_id, given)


def _forfeit_ended(tx: Transaction, account_id: str, found: list[Subscription]) -> None:
    """Take what was acquired until the end of each subscription, unless another one stood at that moment."""
    for each in sorted(found, key=lambda each: (each.ended_at or 0.0, each.fact.id)):
        ended_at = each.ended_at
        if ended_at is None or not each.payments or any(_covers(other, ended_at) for other in found):
            continue
        wallet = ledger.lock(tx, account_id)
        source = f"{each.provider}/{each.fact.id}/end"
        ledger.forfeit(tx, wallet, source, "Your subscription has ended", acquired_until=ended_at)


def _covers(other: Subscription, moment: float) -> bool:
    """Say whether a subscription that was paid for stood just after a moment."""
    after_end = other.ended_at is not None and other.ended_at <= moment
    return bool(other.payments) and other.fact.started_at <= moment and not after_end


def _set_plan(tx: Transaction, account_id: str, found: list[Subscription], product: Product, set_plan: SetPlan) -> None:
    account = people.get(tx, account_id)
    best = standing(found, product, tx.now)
    for each in found:
        end = each.grace_ends_at(product)
        tx.run(
            queries.SET_REVIEW,
            provider=each.provider,
            id=each.fact.id,
            at=end if end is not None and tx.now < end else None,
        )
    renews_at: float | None
    if best is not None:
        plan, renews_at = plan_in_force(best) or product.default_plan, best.fact.period_end
    elif account.plan in {line.plan for each in found for line in _lines(each)}:
        plan, renews_at = product.default_plan, _next_free_month(tx, account_id, found)
    elif account.plan == product.default_plan and account.plan_renews_at is not None:
        # An end that becomes known late must not leave free months for a time that was paid for.
        following = _next_free_month(tx, account_id, found) if any(each.ended_at for each in found) else None
        plan, renews_at = account.plan, max(account.plan_renews_at, following or 0.0)
    else:
        return  # what it has did not come from here
    if (plan, renews_at) != (account.plan, account.plan_renews_at):
        set_plan(tx, account_id, plan, renews_at)
        log.info("plan.set", account=account_id, plan=plan)


def _next_free_month(tx: Transaction, account_id: str, found: list[Subscription]) -> float | None:
    """Return when the first plan brings credits again: at the next monthly anniversary of the registration.

    Counted from when the last subscription ended, not from when that became known.
    """
    terms: Mapping[str, float] | None = tx.one(queries.TERMS[tx.dialect], id=account_id)
    if terms is None:
        return None
    ends = [each.ended_at for each in found if each.ended_at is not None]
    since = max(ends, default=tx.now)
    return month_after(terms["registered_at"], months_since(terms["registered_at"], since) + 1)


def _lines(subscription: Subscription) -> list[Line]:
    return [line for paid in subscription.payments for line in paid.fact.lines]
