"""The ledger against a model that fits on a page, in any order of anything that may happen to credits.

Granted, held, captured, released; lost with a subscription that ends; taken back by a refund or a dispute, and given
again when that one is lost; expired. Ann begins as a visitor and signs up at some time: her wallet, with whatever is
held or owed, merges into her account and gets what signing up brings, once. PENSTOCK_EXAMPLES says how many lives are
tried.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from penstock.accounts import people
from penstock.billing import plans
from penstock.kit.database import Transaction
from penstock.ledger import service as ledger
from penstock.ledger.claw import claw_back
from penstock.ledger.errors import HoldConflictError, InsufficientCreditsError
from penstock.ledger.service import PRIORITIES, Grant, LotKind
from tests.support.flows import make_product
from tests.support.sandbox import Sandbox

COOKIE = "the digest of Ann's cookie"
GIFT = 2  # credits that signing up brings, beside a month's
PRODUCT = make_product(sign_in={"anonymous": True, "gift_credits": GIFT})
MONTH = PRODUCT.plans[PRODUCT.default_plan].credits_month
SOURCES = 20  # so that most grants are new and some are repeats
SELDOM = 8  # one call in so many of the rules that end everything does so
OWN_LOTS = "SELECT source_key, remaining FROM lots WHERE account_id = :account_id"
KINDS: list[LotKind] = ["gift", "plan", "top_up", "deposit"]


@dataclass
class Lot:
    """What the model knows of a lot; `at` is the order in which it was granted."""

    at: int
    kind: LotKind
    remaining: int
    expires_at: float | None
    ended: bool = False
    source: str = ""
    by: str = ""

    @property
    def turn(self) -> tuple[int, float, int]:
        return PRIORITIES[self.kind], float("inf") if self.expires_at is None else self.expires_at, self.at

    def over(self, now: float) -> bool:
        return self.expires_at is not None and self.expires_at <= now


@dataclass
class Held:
    """What the model knows of a hold."""

    amount: int
    parts: list[tuple[Lot, int]]
    resolved: tuple[str, int] | None = None


@dataclass
class Model:
    """Credits without a book."""

    lots: dict[str, Lot] = field(default_factory=dict)
    holds: dict[str, Held] = field(default_factory=dict)
    spent: int = 0
    debt: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    """What ended lots lost and no refund has counted yet."""

    def ends(self, lot: Lot, by: str) -> None:
        self.lost[lot.source] = self.lost.get(lot.source, 0) + lot.remaining
        lot.remaining, lot.ended, lot.by = 0, True, by

    def pay_off(self, now: float) -> None:
        """What is owed is paid by what is there."""
        for lot in sorted(self.lots.values(), key=lambda lot: lot.turn):
            if not lot.over(now):
                part = min(self.debt, lot.remaining)
                self.debt, lot.remaining = self.debt - part, lot.remaining - part

    def claw(self, source: str, amount: int, now: float) -> None:
        own = self.lots.get(source)
        left = amount
        if own is not None:
            part = min(left, own.remaining)
            own.remaining, left = own.remaining - part, left - part
            same = [lot for lot in self.lots.values() if lot is own or (own.by and lot.by == own.by)]
            for lot in sorted(same, key=lambda lot: (lot is not own, lot.at)):
                part = min(left, self.lost.get(lot.source, 0))
                if part:
                    self.lost[lot.source] -= part
                    left -= part
        for lot in sorted(self.lots.values(), key=lambda lot: lot.turn):
            if not lot.over(now):
                part = min(left, lot.remaining)
                lot.remaining, left = lot.remaining - part, left - part
        self.debt += left

    @property
    def available(self) -> int:
        return sum(lot.remaining for lot in self.lots.values())

    @property
    def held(self) -> int:
        return sum(hold.amount for hold in self.holds.values() if hold.resolved is None)

    def take(self, amount: int, now: float) -> list[tuple[Lot, int]] | None:
        usable = [lot for lot in sorted(self.lots.values(), key=lambda lot: lot.turn) if not lot.over(now)]
        if sum(lot.remaining for lot in usable) < amount:
            return None
        parts = []
        for lot in usable:
            part = min(lot.remaining, amount)
            amount -= part
            lot.remaining -= part
            parts += [(lot, part)] if part else []
        return parts

    def resolve(self, held: Held, state: str, spent: int, now: float) -> None:
        held.resolved = state, spent
        self.spent += spent
        for lot, part in held.parts:
            used = min(spent, part)
            spent -= used
            back = part - used
            if not lot.ended and not lot.over(now):
                lot.remaining += back
            else:
                paid = min(back, self.debt)
                self.debt -= paid
                self.lost[lot.source] = self.lost.get(lot.source, 0) + back - paid
        self.pay_off(now)


class Credits(RuleBasedStateMachine):
    """Anything in any order; the ledger answers what the model says, and no credit is ever unexplained."""

    @initialize()
    def start(self) -> None:
        self.box, self.model, self.forfeits = Sandbox(), Model(), dict[str, int]()
        self.claws: list[int] = []
        self.people = 0  # who signed up with the visitor's cookie
        self.ann = self.box.do(people.open_visitor, PRODUCT.default_plan, COOKIE).id
        self.box.do(ledger.open_wallet, self.ann)
        for nth, kind in enumerate(KINDS):  # small lots, so that holds span several from the beginning
            self.grant(f"start/{nth}", nth + 1, kind, None)
            self.grant(f"start/{nth}/ends", 2, kind, 40.0)

    def teardown(self) -> None:
        if hasattr(self, "box"):
            self.box.close()

    def change(self, unit: Any, *args: Any) -> Any:
        return self.box.do(lambda tx: unit(tx, ledger.lock(tx, self.ann), *args))

    @rule(
        source=st.integers(0, SOURCES).map(str),
        amount=st.integers(1, 4),
        kind=st.sampled_from(KINDS),
        lasts=st.sampled_from([None, None, 60.0, 20.0, 5.0, 0.0]),
    )
    def grant(self, source: str, amount: int, kind: LotKind, lasts: float | None) -> None:
        ends = None if lasts is None else self.box.clock.now() + lasts
        granted = self.box.do(ledger.grant, self.ann, Grant(amount, kind, source, "For testing", ends))
        assert granted is (source not in self.model.lots)
        if granted:
            self.box.clock.advance(0.001)  # so that lots of one kind have an order
            self.model.lots[source] = Lot(len(self.model.lots), kind, amount, ends, source=source)
            self.model.pay_off(self.box.clock.now() - 0.001)

    @rule(nth=st.integers(0, SELDOM))
    def merge(self, nth: int) -> None:
        """The visitor signs up; whoever comes with the same cookie afterwards gets an account of their own."""
        if nth:
            return
        merged = self.box.do(self.sign_up)
        self.people += 1
        assert (merged == self.ann) is (self.people == 1)
        if merged == self.ann:
            now = self.box.clock.now()
            brought: list[tuple[str, LotKind, int]] = [
                (f"gift/{self.ann}/sign-up", "gift", GIFT), (f"plan/{self.ann}/0", "plan", MONTH),
            ]  # fmt: skip
            for source, kind, amount in brought:
                self.model.lots[source] = Lot(len(self.model.lots), kind, amount, None, source=source)
                self.model.pay_off(now)
        self.box.clock.advance(0.001)

    def sign_up(self, tx: Transaction) -> str:
        email = f"ann{self.people}@example.org"
        account = people.register(tx, email, "", PRODUCT.default_plan, visitor_digest=COOKIE)
        assert account is not None
        plans.begin(tx, PRODUCT, account.id, account.plan)
        return account.id

    @rule(amount=st.integers(1, 9))
    def hold_anew(self, amount: int) -> None:
        self.hold(f"job_{len(self.model.holds)}", amount)

    @rule(which=st.integers(0, 50), amount=st.integers(0, 9))
    def hold_again(self, which: int, amount: int) -> None:
        self.hold(self.job(which), amount)

    def job(self, which: int) -> str:
        """Return one of the jobs, or one that never was."""
        return f"job_{which % (len(self.model.holds) + 1)}"

    def hold(self, job: str, amount: int) -> None:
        known = self.model.holds.get(job)
        if amount == 0:
            self.change(ledger.hold, job, 0, "A job")
        elif known is not None:
            if known.amount == amount:
                self.change(ledger.hold, job, amount, "A job")
            else:
                with pytest.raises(HoldConflictError):
                    self.change(ledger.hold, job, amount, "A job")
        elif (parts := self.model.take(amount, self.box.clock.now())) is None:
            with pytest.raises(InsufficientCreditsError):
                self.change(ledger.hold, job, amount, "A job")
        else:
            self.change(ledger.hold, job, amount, "A job")
            self.model.holds[job] = Held(amount, parts)

    @rule(which=st.integers(0, 50), amount=st.integers(0, 10))
    def capture(self, which: int, amount: int) -> None:
        job = self.job(which)
        self.resolve(job, "captured", amount, ledger.capture, (job, amount, "Done"))

    @rule(which=st.integers(0, 50))
    def release(self, which: int) -> None:
        job = self.job(which)
        self.resolve(job, "released", 0, ledger.release, (job, "Failed"))

    def resolve(self, job: str, state: str, amount: int, unit: Any, args: tuple[Any, ...]) -> None:
        held = self.model.holds.get(job)
        possible = held is not None and (held.resolved in {None, (state, amount)}) and amount <= held.amount
        if possible or (held is None and amount == 0):
            self.change(unit, *args)
        else:
            with pytest.raises(HoldConflictError):
                self.change(unit, *args)
        if possible and held is not None and held.resolved is None:
            self.model.resolve(held, state, amount, self.box.clock.now())

    @rule(nth=st.integers(0, 2 * SELDOM))
    def forfeit(self, nth: int) -> None:
        source = f"end/{nth}"
        if nth % SELDOM and source not in self.forfeits:
            return
        lost = self.change(ledger.forfeit, source, "Cancelled")
        if source not in self.forfeits:
            self.forfeits[source] = self.model.available
            for lot in self.model.lots.values():
                if not lot.ended:
                    self.model.ends(lot, source)
        assert lost == self.forfeits[source]

    @rule()
    def expire(self) -> None:
        closed = self.box.do(ledger.expire_lots)
        due = [lot for lot in self.model.lots.values() if not lot.ended and lot.over(self.box.clock.now())]
        assert closed == len(due)
        for lot in due:
            self.model.ends(lot, "")

    @rule(source=st.integers(0, SOURCES).map(str), amount=st.integers(1, 6))
    def claw(self, source: str, amount: int) -> None:
        self.claws.append(amount)
        self.model.claw(source, amount, self.box.clock.now())
        self.change(claw_back, [source], amount, f"refund/{len(self.claws)}", "A refund")

    @rule(which=st.integers(0, SOURCES), kind=st.sampled_from(KINDS))
    def money_comes_back(self, which: int, kind: LotKind) -> None:
        """A dispute is won, or a refund fails: what it took is granted again, once."""
        if which >= len(self.claws):
            return
        source = f"refund/{which + 1}/back"
        given = Grant(self.claws[which], kind, source, "The money came back", origin="clawed_back")
        assert self.box.do(ledger.grant, self.ann, given) is (source not in self.model.lots)
        if source not in self.model.lots:
            self.model.lots[source] = Lot(len(self.model.lots), kind, self.claws[which], None, source=source)
            self.model.pay_off(self.box.clock.now())
            self.box.clock.advance(0.001)

    @rule(seconds=st.sampled_from([0.5, 2.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.box.clock.advance(seconds)

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "box"):
            return
        wallet = self.box.do(ledger.lock, self.ann)
        assert (wallet.available, wallet.held, wallet.debt) == (self.model.available, self.model.held, self.model.debt)
        lots = {row["source_key"]: row["remaining"] for row in self.box.rows(OWN_LOTS, account_id=self.ann)}
        assert lots == {source: lot.remaining for source, lot in self.model.lots.items()}
        captured = self.box.rows("SELECT COALESCE(SUM(captured), 0) AS captured FROM holds")
        assert captured == [{"captured": self.model.spent}]
        assert self.box.do(ledger.violations) == []


TestCredits = Credits.TestCase
