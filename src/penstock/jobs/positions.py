"""Tells customers who are looking how their place in the queue changes: `job.position` events.

Only accounts that somebody follows in this process are looked at, all in one read; only what changed noticeably is
written, all in one transaction. It is a chore of maintenance that every process does for its own listeners; an account
that is followed in two is told once, by whichever looks first.
"""

import json
from bisect import bisect_left
from dataclasses import dataclass

from penstock.jobs import queries
from penstock.jobs.flow import Flow
from penstock.jobs.view import POSITION_LIMIT, Place, place_behind, place_of, waiter_of
from penstock.kit.database import Row, Transaction

POSITION_LOOK_S = 2.0
MAX_ACCOUNTS = 1_000  # looked at in one look; with more of them they take turns
MAX_JOBS_EACH = 10  # of one account: those that start first
ONE_BY_ONE = 10  # jobs; for more of them the queue is read once instead of counted for each
NOTICEABLE_WAIT = 0.25  # share by which the range must move to be worth telling, the place being the same


@dataclass(frozen=True)
class Standing:
    """A queued job and its place."""

    account_id: str
    job_id: str
    place: Place


class PositionTeller:
    """Remembers what was told last, so that only news is told."""

    def __init__(self, flow: Flow) -> None:
        """Start having told nothing."""
        self._flow = flow
        self._told: dict[str, dict[str, Place]] = {}  # by account and job
        self._turn = 0

    async def look(self) -> int:
        """Tell what has changed since the last look. Returns 0: it is nothing that a log should mention."""
        followed = self._flow.hub.followed()
        accounts = self._whose_turn(followed)
        found = await self._flow.database.read(self.standings, accounts) if accounts else []
        news = [each for each in found if is_news(self._last(each), each.place)]
        if news:
            await self._flow.database.write(self.tell, news)
        told = {each.job_id: each.place for each in news}
        kept: dict[str, dict[str, Place]] = {account: {} for account in accounts}
        for each in found:
            kept[each.account_id][each.job_id] = told.get(each.job_id) or self._told[each.account_id][each.job_id]
        still = {account: places for account, places in self._told.items() if account in set(followed)}
        self._told = {**still, **kept}
        return 0

    def standings(self, tx: Transaction, accounts: list[str]) -> list[Standing]:
        """Return the places of these accounts' queued jobs."""
        rows = [
            (account_id, row)
            for account_id in accounts
            for row in tx.all(queries.QUEUED_OF, account_id=account_id, limit=MAX_JOBS_EACH)
        ]
        places = self._places(tx, [row for _, row in rows])
        return [Standing(account_id, row["id"], places[row["id"]]) for account_id, row in rows]

    def tell(self, tx: Transaction, news: list[Standing]) -> None:
        """Write an event for each, but not for a job that has started since."""
        for each in sorted(news, key=lambda each: each.account_id):  # in one order: see `Hub.emit`
            tx.alone(f"events {each.account_id}")
            told = _told_before(tx, each)
            if (told is None or is_news(told, each.place)) and tx.one(queries.STILL_QUEUED, id=each.job_id) is not None:
                wait = {"low_s": round(each.place.low_s, 1), "high_s": round(each.place.high_s, 1)}
                content = {"position": each.place.position, "wait": wait}
                self._flow.hub.emit(tx, each.account_id, each.job_id, "job.position", content)

    def _whose_turn(self, followed: list[str]) -> list[str]:
        if len(followed) <= MAX_ACCOUNTS:
            return followed
        start = self._turn % len(followed)
        self._turn = start + MAX_ACCOUNTS
        return [*followed[start:], *followed[:start]][:MAX_ACCOUNTS]

    def _last(self, each: Standing) -> Place | None:
        return self._told.get(each.account_id, {}).get(each.job_id)

    def _places(self, tx: Transaction, rows: list[Row]) -> dict[str, Place]:
        if len(rows) <= ONE_BY_ONE:
            return {row["id"]: place_of(tx, self._flow, waiter_of(row)) for row in rows}
        ranks = [row["rank"] for row in tx.all(queries.QUEUED_RANKS, limit=POSITION_LIMIT)]
        return {
            row["id"]: place_behind(tx, self._flow, waiter_of(row), bisect_left(ranks, row["rank"])) for row in rows
        }


def _told_before(tx: Transaction, each: Standing) -> Place | None:
    """Return what a job's customer was told last, by whatever process."""
    told = tx.value(queries.LAST_POSITION, account_id=each.account_id, job_id=each.job_id)
    if told is None:
        return None
    place = json.loads(told)
    return Place(place["position"], place["wait"]["low_s"], place["wait"]["high_s"])


def is_news(told: Place | None, now: Place) -> bool:
    """Say whether a place differs from what was told last by more than a person would notice."""
    if told is None or told.position != now.position:
        return True
    return abs(now.high_s - told.high_s) > max(1.0, NOTICEABLE_WAIT * told.high_s)
