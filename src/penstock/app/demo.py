"""A customer to try a product with: fixed address, new password at each start, credits to spend."""

import secrets
from dataclasses import dataclass

from penstock.accounts import people
from penstock.accounts.passwords import Passwords
from penstock.app.services import Services
from penstock.kit.database import Transaction
from penstock.kit.ids import new_id
from penstock.ledger import service as ledger
from penstock.ledger import statement
from penstock.ledger.service import Grant
from penstock.product.prices import most_price

DEMO_EMAIL = "demo@example.org"
DEMO_CREDITS, DEMO_JOBS = 100, 10  # filled up at each start to so many credits, and for so many of the dearest
PASSWORD_BYTES = 9


@dataclass(frozen=True)
class DemoCustomer:
    """How to sign in."""

    email: str
    password: str


async def demo_customer(services: Services) -> DemoCustomer:
    """Make the demo customer, or give the one that is there a new password; see that there are credits."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    passwords = Passwords()
    await services.database.write(_prepare, services, await passwords.hash(password))
    return DemoCustomer(DEMO_EMAIL, password)


def _prepare(tx: Transaction, services: Services, password_hash: str) -> None:
    known = people.find(tx, DEMO_EMAIL)
    if known is None:
        known = people.register(tx, DEMO_EMAIL, password_hash, services.product.default_plan)
        assert known is not None
        services.plan_credits.first_month(tx, known.id, known.plan)
    else:
        people.set_password(tx, known.id, password_hash)
    dearest = max(most_price(operation) for operation in services.product.operations.values())
    missing = max(DEMO_CREDITS, DEMO_JOBS * dearest) - statement.balance(tx, known.id).available
    if missing > 0:
        ledger.grant(tx, known.id, Grant(missing, "gift", f"demo/{new_id('gft')}", "For the demo"))
