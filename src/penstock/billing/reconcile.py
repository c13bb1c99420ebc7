"""Compares what a payment provider lists with what we know, and puts right what can be.

    paid, not granted       a webhook never came: what the list says is taken like a webhook, and so mended
    granted, not paid       we say it was paid and the provider does not know it: flagged, for a person to look at
    not understood          paid, but for nothing that the product file has; or by somebody we don't know: flagged

Runs on schedule and by `penstock billing reconcile`. It may run at any time, beside webhooks and itself.
"""

from dataclasses import dataclass, field

import structlog

from penstock.billing import queries
from penstock.billing.payments import Fact, PaymentFact, Payments, ReversalFact, SubscriptionFact
from penstock.billing.schedule import DAY_S
from penstock.billing.webhooks import Intake
from penstock.kit.database import Database, Row, Transaction

RECONCILE_EVERY_S = 6 * 3_600.0
DAYS = 10  # looked at on schedule: longer than providers try to deliver a webhook
OPEN_DAYS = 40  # an invoice may be paid so long after it was made
BATCH_FACTS = 50
MAX_FLAGGED = 500

log = structlog.get_logger()


@dataclass
class Report:
    """What came of a comparison: one sentence for each thing."""

    looked_at: int = 0
    mended: list[str] = field(default_factory=list)
    flagged: list[str] = field(default_factory=list)


async def reconcile(database: Database, intake: Intake, payments: Payments, since: float) -> Report:
    """Compare everything since a moment, in seconds since 1970 UTC.

    Errors: PaymentRefusedError, PaymentUnavailableError; what was mended before stays.
    """
    report, paid = Report(), set[str]()
    batch: list[Fact] = []
    async for fact in payments.history(since - OPEN_DAYS * DAY_S):
        if isinstance(fact, PaymentFact) and fact.status == "paid":
            paid.add(fact.id)
        batch.append(fact)
        if len(batch) == BATCH_FACTS:
            await _take(database, intake, payments.name, batch, report)
            batch = []
    await _take(database, intake, payments.name, batch, report)
    report.flagged += await database.read(_not_paid, payments.name, since, paid)
    report.flagged += await database.read(_not_understood, payments.name)
    for told in report.mended:
        log.warning("reconcile.mended", provider=payments.name, told=told)
    for told in report.flagged:
        log.error("reconcile.flagged", provider=payments.name, told=told)
    return report


async def _take(database: Database, intake: Intake, provider: str, batch: list[Fact], report: Report) -> None:
    if batch:
        report.looked_at += len(batch)
        report.mended += await database.write(_take_batch, intake, provider, tuple(batch))


def _take_batch(tx: Transaction, intake: Intake, provider: str, facts: tuple[Fact, ...]) -> list[str]:
    """Take facts and return what they changed."""
    before = [_known(tx, provider, fact) for fact in facts]
    intake.apply(tx, provider, facts)
    after = [_known(tx, provider, fact) for fact in facts]
    pairs = zip(facts, before, after, strict=True)
    return [_told(fact, old, new) for fact, old, new in pairs if new is not None and old != new]


def _known(tx: Transaction, provider: str, fact: Fact) -> Row | None:
    """Return what we know of a thing, as far as it matters; None for one that is not about a customer of ours."""
    if isinstance(fact, PaymentFact):
        return tx.one(queries.PAYMENT_STATE, provider=provider, id=fact.id)
    if isinstance(fact, SubscriptionFact):
        return tx.one(queries.SUBSCRIPTION_STATE, provider=provider, id=fact.id)
    if isinstance(fact, ReversalFact):
        return tx.one(queries.REVERSAL_STATE, provider=provider, id=fact.id)
    return None


def _told(fact: Fact, old: Row | None, new: Row | None) -> str:
    seen = "was not known" if old is None else ", ".join(f"{name} was {value}" for name, value in old.items())
    now = ", ".join(f"{name} is {value}" for name, value in (new or {}).items())
    return f"{fact.id}: {seen}; now {now}"


def _not_paid(tx: Transaction, provider: str, since: float, paid: set[str]) -> list[str]:
    rows = tx.all(queries.GRANTED_SINCE, provider=provider, since=since)
    missing = [row["id"] for row in rows if row["id"] not in paid]
    return [f"{name}: credits were granted, and the provider does not say that it was paid" for name in missing]


def _not_understood(tx: Transaction, provider: str) -> list[str]:
    flagged = tx.all(queries.FLAGGED_PAYMENTS, provider=provider, limit=MAX_FLAGGED)
    twice = tx.all(queries.SUBSCRIBED_TWICE, provider=provider, limit=MAX_FLAGGED)
    told = [f"{row['id']}: {row['flag'] or 'paid, and no credits were granted'}" for row in flagged]
    return told + [f"{row['account_id']}: pays for {row['plans']} plans at the same time" for row in twice]
