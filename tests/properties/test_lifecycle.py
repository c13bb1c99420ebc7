"""Jobs in any order of anything that may happen to them: every change of state is a transition of the table.

Triggers write down each change of `jobs.state` and how many jobs of the customer were running right after it, so
nothing that the engine reports about itself is taken on trust. The model knows only what was asked for.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from penstock.jobs import control, queue, settle, submit
from penstock.jobs.flow import Claimed, Delivery, Flow
from penstock.jobs.maintenance import mend
from penstock.jobs.settle import Ending
from penstock.jobs.states import FINAL, TRANSITIONS
from penstock.jobs.worker import claimed
from penstock.kit.database import Transaction
from penstock.kit.errors import Problem
from penstock.ledger import service as ledger
from penstock.ledger.service import Grant
from penstock.notify.live import Hub
from tests.faults.checker import WATCH
from tests.support.flows import FakeProvider, NoFiles, OneProduct, make_product, order
from tests.support.sandbox import Sandbox

PLANS = {"acc_free": "free", "acc_paid": "paid"}
LIMITS = {"acc_free": 1, "acc_paid": 2}
FUNDS = 60
SELDOM = 8  # one call in so many of the rules that end jobs early does so
PRICE = 2
PRODUCT = make_product(
    plans={
        plan: {
            "title": plan,
            "description": "For testing",
            "limits": {"running": LIMITS[account]},
            "attempts": 3,
            "head_start_s": 60 if plan == "paid" else 0,
        }
        for account, plan in PLANS.items()
    }
)


@dataclass
class Asked:
    """What the model knows: which jobs there are, and who believes to hold which."""

    jobs: dict[str, str] = field(default_factory=dict)
    held: list[Claimed] = field(default_factory=list)
    keys: dict[tuple[str, str], str] = field(default_factory=dict)


class Lifecycle(RuleBasedStateMachine):
    """Submits, claims, ends, losses and mends, also by workers that lost their jobs long ago."""

    @initialize()
    def start(self) -> None:
        self.box, self.asked = Sandbox(), Asked()
        self.box._connection.connection.executescript(WATCH)
        self.flow = Flow(
            database=None,  # type: ignore[arg-type]
            clock=self.box.clock,
            hub=Hub(),
            products=OneProduct(PRODUCT),
            studio=NoFiles(),
            providers={"main": FakeProvider()},
            folder=None,  # type: ignore[arg-type]
        )
        for account in PLANS:
            self.box.do(ledger.grant, account, Grant(FUNDS, "gift", f"test/{account}", "For testing"))
            for _ in range(3):
                self.submit(account, None)
        self.claim("wkr_1", 2)

    def teardown(self) -> None:
        if hasattr(self, "box"):
            self.finish_everything()
            self.box.close()

    # ---- what may happen ----

    @rule(account=st.sampled_from(list(PLANS)), nth=st.integers(0, 30))
    def submit_with_a_key(self, account: str, nth: int) -> None:
        self.submit(account, f"key-{nth}")

    @rule(account=st.sampled_from(list(PLANS)))
    def submit_without(self, account: str) -> None:
        self.submit(account, None)

    def submit(self, account: str, key: str | None) -> None:
        wanted = order(self.flow, account, plan=PLANS[account], key=key)
        available = self.box.do(ledger.lock, account).available
        known = self.asked.keys.get((account, key or ""))
        if known is None and available < PRICE:
            with pytest.raises(Problem):
                self.box.do(submit._accept, self.flow, wanted)
            return
        accepted = self.box.do(submit._accept, self.flow, wanted)
        assert accepted.fresh is (known is None)
        assert known in {None, accepted.job_id}
        self.asked.jobs[accepted.job_id] = account
        if key is not None:
            self.asked.keys[account, key] = accepted.job_id

    @rule(worker=st.sampled_from(["wkr_1", "wkr_2"]), slots=st.integers(1, 3))
    def claim(self, worker: str, slots: int) -> None:
        ready = self.box.rows(
            "SELECT id FROM jobs WHERE state = 'ready' AND run_at <= :now ORDER BY rank", now=self.now
        )
        taken = [claimed(PRODUCT, row) for row in self.box.do(queue.claim, worker, slots)]
        assert [job.id for job in taken] == [row["id"] for row in ready[:slots]], "the lowest ranks, in order"
        self.asked.held += taken

    @rule(ending=st.sampled_from(["succeed", "fail", "back", "drain"]))
    @precondition(lambda self: bool(self.asked.held))
    def leave_the_newest(self, ending: str) -> None:
        self.leave(self.asked.held[-1], ending)

    @rule(which=st.integers(0, 100), ending=st.sampled_from(["succeed", "fail", "back", "drain"]))
    @precondition(lambda self: bool(self.asked.held))
    def leave_any(self, which: int, ending: str) -> None:
        self.leave(self.asked.held[which % len(self.asked.held)], ending)

    def leave(self, job: Claimed, ending: str) -> None:
        """Somebody who claimed a job once, and may have lost it since, says how it went."""
        still = self.box.do(queue.still_held, job.id, job.fence)
        before = self.row(job.id)
        assert self.end(job, ending) is still
        if not still:
            assert self.row(job.id) == before, "who lost a job changes nothing"

    def end(self, job: Claimed, ending: str) -> bool:
        if ending == "succeed":
            try:
                self.box.do(settle.succeed, self.flow, job, Delivery(), "main")
            except queue.FencedError:
                return False
            return True
        if ending == "fail":
            return self.box.do(
                settle.end, self.flow, job.id, job.account_id, job.fence, Ending("failed", {"code": "broken"})
            )
        run_at = self.now + (5.0 if ending == "back" else 0.0)
        return self.box.do(
            settle.give_back,
            self.flow,
            job.id,
            job.account_id,
            job.fence,
            attempts=job.attempts,
            run_at=run_at,
            spent=ending == "back",
        )

    @rule(which=st.integers(0, 50 * SELDOM))
    def cancel(self, which: int) -> None:
        if which % SELDOM:
            return
        job_id = self.one(which)
        state = self.row(job_id)["state"]
        if state in FINAL - {"cancelled"}:
            with pytest.raises(Problem):
                self.box.do(control._cancel, self.flow, self.asked.jobs[job_id], job_id)
        else:
            assert self.box.do(control._cancel, self.flow, self.asked.jobs[job_id], job_id) is (state == "running")

    @rule(seconds=st.sampled_from([1.0, 10.0, queue.LEASE_S + 1]), renews=st.booleans())
    def wait(self, seconds: float, renews: bool) -> None:
        if renews:
            held = [(job.id, job.fence) for job in self.asked.held]
            for worker in ("wkr_1", "wkr_2"):
                self.box.do(queue.renew, worker, held)
        self.box.clock.advance(seconds)

    @rule()
    def mend(self) -> None:
        for lost in self.box.do(queue.lost):
            assert self.box.do(mend, self.flow, lost)
            assert not self.box.do(mend, self.flow, lost)

    @rule(which=st.integers(0, 50 * SELDOM))
    def expire(self, which: int) -> None:
        if which % SELDOM:
            return
        job_id = self.one(which)
        queued = self.row(job_id)["state"] in {"waiting", "ready"}
        assert self.box.do(settle.leave, self.flow, job_id, self.asked.jobs[job_id], Ending("expired", None)) is queued

    def one(self, which: int) -> str:
        """Return one of the jobs that were accepted."""
        return sorted(self.asked.jobs)[which // SELDOM % len(self.asked.jobs)]

    # ---- what must hold ----

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "box"):
            return
        self.box.do(self.check)

    def check(self, tx: Transaction) -> None:
        assert ledger.violations(tx) == []
        jobs = tx.all("SELECT id, account_id, state, price, cancel_requested FROM jobs")
        assert {job["id"] for job in jobs} == set(self.asked.jobs)
        for account, limit in LIMITS.items():
            theirs = Counter(job["state"] for job in jobs if job["account_id"] == account)
            active = theirs["ready"] + theirs["running"]
            assert active <= limit
            assert not theirs["waiting"] or active == limit, "whoever has room has nobody waiting"
            wallet = ledger.lock(tx, account)
            assert wallet.held == PRICE * (active + theirs["waiting"])
            assert wallet.available == FUNDS - wallet.held - PRICE * theirs["succeeded"]
        assert not [job for job in jobs if job["cancel_requested"] and job["state"] not in {"running", *FINAL}]
        for seen in tx.all("SELECT before, after, running, account FROM watched"):
            allowed = {"waiting", "ready"} if seen["before"] is None else TRANSITIONS[seen["before"]]
            assert seen["after"] in allowed, f"{seen['before']} -> {seen['after']}"
            assert (seen["running"] or 0) <= LIMITS[seen["account"]]

    def finish_everything(self) -> None:
        """Nobody starves: with workers that work, every accepted job ends, and it is told of once."""
        for _ in range(10 * len(self.asked.jobs) + 10):
            self.box.clock.advance(queue.LEASE_S + 1)
            self.mend()
            for row in self.box.do(queue.claim, "wkr_last", 2):
                self.end(claimed(PRODUCT, row), "succeed")
        left = self.box.rows("SELECT id, state FROM jobs WHERE finished_at IS NULL")
        assert left == []
        told = Counter(row["job_id"] for row in self.box.rows("SELECT job_id, type FROM events") if _final(row["type"]))
        assert told == Counter(self.asked.jobs.keys())

    @property
    def now(self) -> float:
        return self.box.clock.now()

    def row(self, job_id: str) -> dict[str, Any]:
        return self.box.rows("SELECT * FROM jobs WHERE id = :id", id=job_id)[0]


def _final(kind: str) -> bool:
    return kind.removeprefix("job.") in FINAL


TestLifecycle = Lifecycle.TestCase
