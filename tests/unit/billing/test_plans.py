"""Plans bring credits: at registration, each month, never twice, and to nobody who has no account."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.accounts import people
from penstock.billing.calendar import month_after, months_since
from penstock.billing.plans import PlanCredits
from penstock.kit.clock import ManualClock
from penstock.kit.sqlite import SqliteDatabase
from penstock.ledger import statement
from penstock.product.schema import Product
from tests.support.flows import PRODUCT, make_product, make_schema

REGISTERED = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()
PAID = {**PRODUCT["plans"]["paid"], "credits_month": 25}


def at(*date: int) -> float:
    return datetime(*date, 12, tzinfo=UTC).timestamp()  # type: ignore[arg-type,misc]


class Shop:
    """A database with plans, and a clock that the test owns."""

    def __init__(self, folder: Path, product: Product) -> None:
        path = folder / "penstock.sqlite3"
        if not path.exists():
            make_schema(path)
        self.path = path
        self.product = product
        self.clock = ManualClock(REGISTERED)
        self.database = SqliteDatabase(path, clock=self.clock, durability="normal")
        self.plans = PlanCredits(self.database, lambda: self.product)

    async def register(self, email: str, plan: str = "free") -> str:
        def unit(tx: Any) -> str:
            account = people.register(tx, email, "hash", plan)
            assert account is not None
            self.plans.first_month(tx, account.id, plan)
            return account.id

        return await self.database.write(unit)

    async def available(self, account_id: str) -> int:
        return (await self.database.read(statement.balance, account_id)).available

    async def at_once(self, *times: float) -> int:
        """Renew at each of these times; returns how many accounts got credits in all."""
        renewed = 0
        for time in times:
            self.clock.advance(time - self.clock.now())
            renewed += await self.plans.renew()
        return renewed


async def test_registration_brings_the_first_month(tmp_path: Path) -> None:
    shop = Shop(tmp_path, make_product())
    account_id = await shop.register("ann@example.org")
    renews_at = (await shop.database.read(people.get, account_id)).plan_renews_at

    assert await shop.available(account_id) == 3
    assert renews_at == at(2026, 2, 28)
    await shop.database.close()


async def test_each_month_brings_the_next_and_credits_carry_over(tmp_path: Path) -> None:
    shop = Shop(tmp_path, make_product())
    account_id = await shop.register("ann@example.org")
    renewed = await shop.at_once(at(2026, 2, 27), at(2026, 2, 28), at(2026, 2, 28), at(2026, 3, 30), at(2026, 3, 31))

    assert renewed == 2
    assert await shop.available(account_id) == 9
    await shop.database.close()


async def test_months_that_passed_without_a_server_are_not_lost(tmp_path: Path) -> None:
    shop = Shop(tmp_path, make_product())
    account_id = await shop.register("ann@example.org")
    await shop.at_once(at(2026, 7, 1))

    assert await shop.available(account_id) == 3 * 6  # January to June
    assert (await shop.database.read(people.get, account_id)).plan_renews_at == at(2026, 7, 31)
    await shop.database.close()


async def test_two_servers_at_the_same_moment_grant_once(tmp_path: Path) -> None:
    shop = Shop(tmp_path, make_product())
    account_id = await shop.register("ann@example.org")
    other = Shop(tmp_path, shop.product)
    await shop.at_once(at(2026, 2, 28))
    with sqlite3.connect(shop.path) as connection:  # as if the other had read before the first wrote
        connection.execute("UPDATE accounts SET plan_renews_at = ?", (at(2026, 2, 28),))
    connection.close()
    await other.at_once(at(2026, 2, 28))

    assert await shop.available(account_id) == 6
    await shop.database.close()
    await other.database.close()


async def test_a_plan_without_credits_grants_none_but_opens_a_wallet(tmp_path: Path) -> None:
    shop = Shop(tmp_path, make_product())
    account_id = await shop.register("ann@example.org", "open")
    wallet = await shop.database.read(lambda tx: tx.one("SELECT available FROM wallets"))
    await shop.at_once(at(2026, 5, 1))

    assert wallet == {"available": 0}
    assert await shop.available(account_id) == 0
    await shop.database.close()


async def test_a_plan_that_gets_credits_later_begins_with_the_running_month(tmp_path: Path) -> None:
    shop = Shop(tmp_path, make_product())
    account_id = await shop.register("ann@example.org", "paid")
    await shop.at_once(at(2026, 3, 15))
    before = await shop.available(account_id)
    restarted = Shop(tmp_path, make_product(plans={**PRODUCT["plans"], "paid": PAID}))
    await restarted.at_once(at(2026, 4, 15), at(2026, 4, 15))

    assert before == 0
    assert await shop.available(account_id) == 25
    assert (await shop.database.read(people.get, account_id)).plan_renews_at == at(2026, 4, 30)
    await shop.database.close()
    await restarted.database.close()


async def test_visitors_get_none(tmp_path: Path) -> None:
    shop = Shop(tmp_path, make_product())
    visitor = await shop.database.write(people.open_visitor, "free", "digest")
    await shop.at_once(at(2026, 5, 1))

    assert await shop.available(visitor.id) == 0
    await shop.database.close()


async def test_what_was_granted_is_told_as_what_it_is(tmp_path: Path) -> None:
    shop = Shop(tmp_path, make_product())
    account_id = await shop.register("ann@example.org")
    [entry] = await shop.database.read(statement.entries, account_id, statement.FIRST_PAGE, 10)
    [lot] = (await shop.database.read(statement.balance_with_lots, account_id)).lots

    assert (entry.kind, entry.available, entry.reason) == ("grant", 3, "Free plan: credits of a month")
    assert (lot.kind, lot.remaining, lot.expires_at) == ("plan", 3, None)
    await shop.database.close()


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ((2026, 1, 31), 1, (2026, 2, 28)),
        ((2026, 1, 31), 2, (2026, 3, 31)),
        ((2027, 12, 31), 2, (2028, 2, 29)),
        ((2026, 11, 20), 1, (2026, 12, 20)),
        ((2026, 11, 20), 14, (2028, 1, 20)),
        ((2026, 5, 15), 0, (2026, 5, 15)),
    ],
)
def test_months_end_where_the_calendar_says(start: tuple[int, ...], months: int, end: tuple[int, ...]) -> None:
    assert month_after(at(*start), months) == at(*end)


@given(st.integers(0, 4_000_000_000), st.integers(0, 400), st.floats(0, 27 * 86_400))
def test_counting_months_is_the_inverse_of_adding_them(start: int, months: int, rest_s: float) -> None:
    later = month_after(start, months) + rest_s
    counted = months_since(start, later)

    assert month_after(start, counted) <= later < month_after(start, counted + 1)
    assert counted == months
