"""What is done again and again beside the work: sweeping, renewing, comparing, looking through the book."""

import structlog

from penstock.app.services import Services
from penstock.billing.plans import RENEW_LOOK_S
from penstock.billing.reconcile import DAYS, RECONCILE_EVERY_S, reconcile
from penstock.billing.schedule import DAY_S
from penstock.billing.test_checkout import NAME as TEST_CHECKOUT
from penstock.jobs.maintenance import Chore
from penstock.jobs.positions import POSITION_LOOK_S, PositionTeller
from penstock.ledger import service as ledger
from penstock.notify.mail import LETTERS_LOOK_S

MEDIA_SWEEP_S, SESSION_SWEEP_S = 60.0, 3_600.0
LEDGER_CHORE, LEDGER_LOOK_S = "ledger", 600.0  # between two looks through the whole book

log = structlog.get_logger()


def chores(services: Services) -> tuple[Chore, ...]:
    """Return the chores of a process: most are done by one process at a time, whichever it is."""

    async def sweep_media() -> int:
        swept = await services.media.sweep()
        return swept.uploads + swept.results + swept.pending + swept.files

    async def look_at_ledger() -> int:
        found = await services.database.read(ledger.violations)
        for violation in found:
            log.error("ledger.violation", violation=violation)
        return len(found)

    async def compare_payments() -> int:
        payments = services.billing.payments
        if payments is None or payments.name == TEST_CHECKOUT:
            return 0
        since = services.clock.now() - DAYS * DAY_S
        report = await reconcile(services.database, services.intake, payments, since)
        return len(report.mended)

    async def send_letters() -> int:
        return 0 if services.post is None else await services.post.send_due()

    async def sweep_letters() -> int:
        return 0 if services.post is None else await services.post.sweep()

    return (
        Chore("letters", LETTERS_LOOK_S, send_letters),
        Chore("old letters", SESSION_SWEEP_S, sweep_letters),
        Chore("files", MEDIA_SWEEP_S, sweep_media),
        Chore("plan credits", RENEW_LOOK_S, services.plan_credits.renew),
        Chore("payments", RENEW_LOOK_S, services.intake.look_again),
        Chore("payments compared", RECONCILE_EVERY_S, compare_payments),
        Chore("test plans", RENEW_LOOK_S, services.billing.renew_test_plans),
        Chore("old webhooks", SESSION_SWEEP_S, services.intake.sweep),
        Chore("old links", SESSION_SWEEP_S, services.proofs.sweep),
        Chore("old ways", SESSION_SWEEP_S, services.openid.sweep),
        Chore("old sessions", SESSION_SWEEP_S, services.accounts.sweep),
        Chore(LEDGER_CHORE, LEDGER_LOOK_S, look_at_ledger),
        Chore("positions", POSITION_LOOK_S, PositionTeller(services.flow).look, everywhere=True),
    )
