"""Webhooks in: verified, stored as they came, applied once.

    provider -> receive -> [event stored, facts written down, what follows]        one transaction

An event that was taken is answered the same way again and changes nothing. One that can't be applied is kept with its
text and refused, so that the provider sends it again; `penstock billing reconcile` does not need it to come.
"""

from collections.abc import Callable, Mapping

import structlog

from penstock.billing import queries
from penstock.billing.apply import SetPlan
from penstock.billing.donations import follow, forget_clicks
from penstock.billing.payments import Event, Fact, Payments, WebhookUnreadableError
from penstock.billing.record import record
from penstock.kit.clock import Clock
from penstock.kit.database import Database, Transaction
from penstock.product.schema import Product

KEEP_EVENTS_S = 180 * 86_400.0  # providers try for days; the texts are for whoever looks into a complaint
MAX_STORED_CHARACTERS = 200_000  # of one webhook's text

log = structlog.get_logger()


class Intake:
    """Takes facts in: from webhooks, and from whoever asked the provider.

    Args:
        product: gives the product that holds now.
        set_plan: puts an account on a plan, in an open transaction.
    """

    def __init__(self, database: Database, clock: Clock, product: Callable[[], Product], set_plan: SetPlan) -> None:
        self._database, self._clock, self._product, self._set_plan = database, clock, product, set_plan

    async def receive(self, provider: Payments, headers: Mapping[str, str], body: bytes) -> bool:
        """Take a webhook; False for one that was taken before.

        Errors: WebhookRefusedError for one that must not be believed; anything else: it must come again.
        """
        text = body.decode("utf-8", "replace")[:MAX_STORED_CHARACTERS].replace("\x00", "")
        try:
            event = await provider.read_webhook(headers, body, self._clock.now())
        except WebhookUnreadableError as error:
            log.error("webhook.unreadable", provider=provider.name, exc_info=error)
            await self._database.write(_note_failed, provider.name, error.event, text)
            raise
        try:
            fresh = await self._database.write(self.apply_event, provider.name, event, text)
        except Exception:
            await self._database.write(_note_failed, provider.name, event, text)
            raise
        log.info("webhook.taken", provider=provider.name, type=event.type, event_id=event.id, fresh=fresh)
        return fresh

    def apply_event(self, tx: Transaction, provider: str, event: Event, text: str) -> bool:
        """Apply an event once, in the open transaction; False if that was done before."""
        taken = tx.run(
            queries.TAKE_EVENT,
            provider=provider,
            id=event.id,
            type=event.type,
            happened_at=event.at,
            now=tx.now,
            outcome="applied" if event.facts else "ignored",
            body=text,
        )
        if taken:
            self.apply(tx, provider, event.facts)
        return bool(taken)

    def apply(self, tx: Transaction, provider: str, facts: tuple[Fact, ...]) -> None:
        """Write facts down and do what follows, in the open transaction."""
        for account_id in record(tx, provider, facts):
            follow(tx, account_id, self._product(), self._set_plan)

    async def take(self, provider: str, facts: tuple[Fact, ...]) -> None:
        """Do `apply` in a transaction of its own: for what a provider answered."""
        await self._database.write(self.apply, provider, facts)

    async def sweep(self) -> int:
        """Forget webhooks that can't come again, a batch at a time, and old clicks. A chore of maintenance."""
        return await self._database.write(_forget) + await self._database.write(forget_clicks)

    async def look_again(self) -> int:
        """Do for everybody what time alone has made due; returns for how many accounts. A chore of maintenance."""
        looked, after = 0, ""
        while due := await self._database.read(_due, after):
            for account_id in due:
                await self._database.write(follow, account_id, self._product(), self._set_plan)
            looked, after = looked + len(due), due[-1]
        return looked


DUE_BATCH_ACCOUNTS = 200


def _due(tx: Transaction, after: str) -> list[str]:
    rows = tx.all(queries.DUE_ACCOUNTS, now=tx.now, after=after, limit=DUE_BATCH_ACCOUNTS)
    return [row["account_id"] for row in rows]


def _forget(tx: Transaction) -> int:
    return tx.run(queries.FORGET_EVENTS, before=tx.now - KEEP_EVENTS_S)


def _note_failed(tx: Transaction, provider: str, event: Event, text: str) -> None:
    tx.run(
        queries.NOTE_FAILED_EVENT,
        provider=provider,
        id=event.id,
        type=event.type,
        happened_at=event.at,
        now=tx.now,
        body=text,
    )
