"""Writes facts down: the newest about each thing stays, however they come.

    webhook, answer, reconciliation -> record -> apply

What is kept of two facts about the same thing does not depend on which came first, so any order of any number of
repeats ends in the same rows. `record` joins the caller's transaction.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from penstock.billing import queries
from penstock.billing.payments import (
    Fact,
    Line,
    PaymentFact,
    ReferenceFact,
    ReversalFact,
    SubscriptionFact,
)
from penstock.kit.database import Transaction
from penstock.ledger import service as ledger

_PAYMENT_RANKS = {"open": 0, "failed": 1, "paid": 2}  # money that came is not unpaid by older news
_ENDED = frozenset({"ended", "never_began"})


def record(tx: Transaction, provider: str, facts: Iterable[Fact]) -> list[str]:
    """Write facts down and return the accounts that they are about, whose wallets are locked now.

    Facts about somebody we don't know stay without an account, and change nothing.
    """
    _one_at_a_time(tx, provider, facts := tuple(facts))
    known = [(account_of(tx, provider, fact), fact) for fact in facts]
    accounts = sorted({account for account, _ in known if account is not None})
    for wallet in accounts:  # one order of locks
        ledger.open_wallet(tx, wallet)
        ledger.lock(tx, wallet)
    for account, fact in known:
        _put(tx, provider, account, fact)
    return accounts


def _one_at_a_time(tx: Transaction, provider: str, facts: tuple[Fact, ...]) -> None:
    """Let nobody else write about the same things until this transaction ends.

    A refund and its payment may come in the same instant, and neither sees what the other has not committed: so both
    queue up for the payment here, and whoever is second finds the first one's facts. A refund knows its payment by the
    name of the money perhaps, hence two rounds. These names are taken before any wallet and by nobody else, the second
    round's only after the first's: no two units wait for each other.
    """
    for name in sorted({fact.reference for fact in facts if isinstance(fact, ReversalFact)} | _money(facts)):
        tx.alone(f"money {provider} {name}")
    things = {fact.id for fact in facts} | {fact.payment_id for fact in facts if isinstance(fact, ReferenceFact)}
    for fact in facts:
        if isinstance(fact, ReversalFact):
            things.add(tx.value(queries.PAYMENT_OF, provider=provider, reference=fact.reference) or fact.reference)
    for name in sorted(things):
        tx.alone(f"payment fact {provider} {name}")


def _money(facts: tuple[Fact, ...]) -> set[str]:
    """Return the names of money that facts tie to a payment."""
    references = {fact.id for fact in facts if isinstance(fact, ReferenceFact)}
    return references | {fact.reference for fact in facts if isinstance(fact, PaymentFact) and fact.reference}


def account_of(tx: Transaction, provider: str, fact: Fact) -> str | None:
    """Return whom a fact is about: by our own record of the customer first, by what the provider says second."""
    if isinstance(fact, ReversalFact):
        found = tx.value(queries.ACCOUNT_OF_REFERENCE, provider=provider, reference=fact.reference)
    elif isinstance(fact, ReferenceFact):
        found = tx.value(queries.ACCOUNT_OF_PAYMENT, provider=provider, id=fact.payment_id)
    else:
        found = tx.value(queries.ACCOUNT_OF_CUSTOMER, provider=provider, id=fact.customer_id)
        if found is None and fact.account_id is not None and tx.one(queries.IS_CUSTOMER, id=fact.account_id):
            found = fact.account_id
    return None if found is None else str(found)


def read_payment(text: str) -> PaymentFact:
    """Return a payment as it was written down."""
    values = json.loads(text)
    return PaymentFact(**{**values, "lines": tuple(Line(**line) for line in values["lines"])})


def read_subscription(text: str) -> SubscriptionFact:
    """Return a subscription as it was written down."""
    return SubscriptionFact(**json.loads(text))


def _put(tx: Transaction, provider: str, account: str | None, fact: Fact) -> None:
    if isinstance(fact, SubscriptionFact):
        _put_subscription(tx, provider, account, fact)
    elif isinstance(fact, PaymentFact):
        _put_payment(tx, provider, account, fact)
    elif isinstance(fact, ReferenceFact):
        tx.run(queries.PUT_REFERENCE, provider=provider, reference=fact.id, payment_id=fact.payment_id)
    else:
        _put_reversal(tx, provider, fact)


def _put_subscription(tx: Transaction, provider: str, account: str | None, fact: SubscriptionFact) -> None:
    row = tx.one(queries.SUBSCRIPTION, provider=provider, id=fact.id)
    if row is not None:
        account = row["account_id"] or account
        fact = max(read_subscription(row["fact"]), fact, key=_subscription_rank)
    tx.run(
        queries.PUT_SUBSCRIPTION,
        provider=provider,
        id=fact.id,
        account_id=account,
        status=fact.status,
        fact=_json(asdict(fact)),
    )


def _put_payment(tx: Transaction, provider: str, account: str | None, fact: PaymentFact) -> None:
    row = tx.one(queries.PAYMENT, provider=provider, id=fact.id)
    if row is not None:
        account = row["account_id"] or account
        fact = max(read_payment(row["fact"]), fact, key=_payment_rank)
    tx.run(
        queries.PUT_PAYMENT,
        provider=provider,
        id=fact.id,
        account_id=account,
        status=fact.status,
        kind=fact.kind,
        cents=fact.cents,
        made_at=fact.at if fact.paid_at is None else fact.paid_at,
        fact=_json(asdict(fact)),
    )
    for reference in (fact.id, fact.reference):
        if reference is not None:
            tx.run(queries.PUT_REFERENCE, provider=provider, reference=reference, payment_id=fact.id)


def _put_reversal(tx: Transaction, provider: str, fact: ReversalFact) -> None:
    row = tx.one(queries.REVERSAL, provider=provider, id=fact.id)
    known = None if row is None else (row["at"], not row["counts"], row["cents"])
    if known is None or (fact.at, not fact.counts, fact.cents) > known:
        tx.run(queries.PUT_REVERSAL, provider=provider, **asdict(fact))


def _subscription_rank(fact: SubscriptionFact) -> tuple[Any, ...]:
    """What has ended stays so. In the same second, the later period wins, and then anything, but always the same."""
    return fact.status in _ENDED, fact.at, fact.period_end, _json(asdict(fact))


def _payment_rank(fact: PaymentFact) -> tuple[Any, ...]:
    """The first news that money came stays: what was granted by it must not change under it."""
    paid = fact.status == "paid"
    return _PAYMENT_RANKS[fact.status], -fact.at if paid else fact.at, _json(asdict(fact))


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"))
