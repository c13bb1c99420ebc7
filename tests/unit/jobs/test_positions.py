"""Places in the queue: the same however they are counted, told when they change, and to everybody in turn."""

from pathlib import Path

import pytest

from penstock.jobs import positions
from penstock.jobs.positions import PositionTeller, is_news
from penstock.jobs.submit import submit
from penstock.jobs.view import Place
from tests.support.flows import fund, open_flow, order


@pytest.mark.parametrize(
    ("told", "now", "news"),
    [
        (None, Place(1, 0, 0), True),
        (Place(2, 10, 20), Place(1, 10, 20), True),
        (Place(2, 10, 20), Place(2, 12, 24), False),
        (Place(2, 10, 20), Place(2, 12, 26), True),
        (Place(2, 0, 1), Place(2, 0, 1.9), False),
    ],
)
def test_what_is_worth_telling(told: Place | None, now: Place, news: bool) -> None:
    assert is_news(told, now) is news


async def test_counting_one_by_one_and_all_at_once_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = [f"acc_{number}" for number in range(5)]
    async with open_flow(tmp_path) as flow:
        for account in accounts:
            await fund(flow, account, 10)
            for _ in range(3):
                await submit(flow, order(flow, account, plan="open"))
        teller = PositionTeller(flow)
        monkeypatch.setattr(positions, "ONE_BY_ONE", 1_000)
        each = await flow.database.read(teller.standings, accounts)
        monkeypatch.setattr(positions, "ONE_BY_ONE", 0)
        at_once = await flow.database.read(teller.standings, accounts)

    assert sorted(standing.place.position for standing in each) == list(range(1, 16))
    assert each == at_once


async def test_nobody_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "MAX_ACCOUNTS", 2)
    accounts = [f"acc_{number}" for number in range(5)]
    async with open_flow(tmp_path) as flow:
        for account in accounts:
            await fund(flow, account, 10)
            await submit(flow, order(flow, account))
            flow.hub.listen(account)
        teller = PositionTeller(flow)
        for _ in range(3):
            await teller.look()
        told = await flow.database.read(
            lambda tx: tx.all("SELECT account_id, COUNT(*) AS times FROM events WHERE type = 'job.position' GROUP BY 1")
        )

    assert {row["account_id"]: row["times"] for row in told} == dict.fromkeys(accounts, 1)


async def test_an_account_that_is_followed_in_two_processes_is_told_once(tmp_path: Path) -> None:
    async with open_flow(tmp_path) as one, open_flow(tmp_path) as two:
        await fund(one, "acc_1", 10)
        await submit(one, order(one, "acc_1"))
        for flow in (one, two):
            flow.hub.listen("acc_1")
            await PositionTeller(flow).look()
        told = await one.database.read(lambda tx: tx.all("SELECT data FROM events WHERE type = 'job.position'"))

    assert len(told) == 1
