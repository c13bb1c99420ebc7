"""How long a job will wait, from what the tables say now and what they have taught.

Counting the jobs ahead costs more the longer the queue is, so of a long one only a sample of the submits counts and
writes down what it expected; the range is learnt from that sample.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from penstock.accounts.allowances import limits_of
from penstock.jobs import capacity, queries, queue, roster
from penstock.jobs.capacity import Outlook
from penstock.jobs.wait import Line, Record, Seen, predicted_wait
from penstock.kit.database import Transaction
from penstock.product.schema import Product

UNKNOWN_DURATION_S = 10.0  # while no job has finished
SHORTEST_S = 0.001  # that a job takes
REFRESH_S = 5.0  # how long what was learnt is used before looking again
SHORT_QUEUE = 100  # jobs; up to here every submit is in the sample
SAMPLE_EVERY_S = 1.0  # in a longer queue, of each process
AHEAD_LIMIT = 20_000  # jobs counted for a sample
OWN_LIMIT = 1_000  # of the customer's own jobs
SAMPLES = 600  # recent jobs of the sample that are learnt from
ARRIVALS = 300  # recent submits that say how many come
ARRIVALS_S = 900.0  # and no older than this
BURST_S = 60.0  # more in a shorter time say little about the next minutes


@dataclass(frozen=True)
class Waiter:
    """A job that is queued or would be."""

    account_id: str
    operation: str
    plan: str
    rank: float


@dataclass(frozen=True)
class Learnt:
    """What the tables said at `at`.

    Args:
        slots: jobs that all workers run at one time.
        coming: jobs a second, by plan.
        providers: of those with limits, what they can take.
    """

    duration_s: float = UNKNOWN_DURATION_S
    slots: int = 1
    coming: Mapping[str, float] = field(default_factory=dict)
    providers: Mapping[str, Outlook] = field(default_factory=dict)
    record: Record = field(default_factory=Record)
    queued: int = 0
    at: float = float("-inf")


class Estimator:
    """Expects waits; one for each process."""

    def __init__(self) -> None:
        """Start knowing nothing."""
        self._learnt = Learnt()
        self._sampled_at = float("-inf")

    def expected(self, tx: Transaction, product: Product, usable: Collection[str], waiter: Waiter) -> float | None:
        """Return the expected wait in seconds of a job about to be queued; None outside the sample.

        Args:
            usable: names of the providers that are on.
        """
        learnt = self._look(tx, product, usable)
        if learnt.queued > SHORT_QUEUE and tx.now - self._sampled_at < SAMPLE_EVERY_S:
            return None
        self._sampled_at = tx.now
        ahead = self.ahead(tx, waiter.rank, AHEAD_LIMIT)
        if ahead > learnt.queued:
            self._learnt = replace(learnt, queued=ahead)
        return predicted_wait(self._line(tx, product, usable, waiter, ahead))

    def range(
        self, tx: Transaction, product: Product, usable: Collection[str], waiter: Waiter, ahead: int
    ) -> tuple[float, float]:
        """Return the seconds after which 10 % and 90 % of such jobs, with so many others ahead, have started."""
        learnt = self._look(tx, product, usable)
        return learnt.record.range(predicted_wait(self._line(tx, product, usable, waiter, ahead)))

    @staticmethod
    def ahead(tx: Transaction, rank: float, limit: int) -> int:
        """Return how many queued jobs have a lower rank, counted up to `limit`."""
        return int(tx.value(queue.AHEAD, rank=rank, limit=limit))

    def _line(self, tx: Transaction, product: Product, usable: Collection[str], waiter: Waiter, ahead: int) -> Line:
        learnt = self._look(tx, product, usable)
        plan = product.plans.get(waiter.plan, product.plans[product.default_plan])
        return Line(
            ahead=ahead,
            running=int(tx.value(queue.RUNNING)),
            slots=learnt.slots,
            duration_s=learnt.duration_s,
            own_ahead=int(tx.value(queries.OWN_AHEAD, account_id=waiter.account_id, rank=waiter.rank, limit=OWN_LIMIT)),
            own_limit=limits_of(tx, waiter.account_id, plan.limits).running,
            overtaking=[
                (coming, max(0.0, waiter.rank + other.head_start_s - tx.now))
                for name, other in product.plans.items()
                if (coming := learnt.coming.get(name, 0.0)) > 0
            ],
            provider_s=self._provider_s(tx, product, usable, waiter),
        )

    def _provider_s(self, tx: Transaction, product: Product, usable: Collection[str], waiter: Waiter) -> float:
        """Return the seconds until the providers of a job's route have room for it, after those of a lower rank."""
        operation, providers = product.operations.get(waiter.operation), self._learnt.providers
        route = [] if operation is None else [name for name in operation.providers if name in usable]
        if not route or any(name not in providers for name in route):
            return 0.0  # somebody in it can take any number
        sharing = [name for name, other in product.operations.items() if not set(route).isdisjoint(other.providers)]
        among = f",{','.join(sharing)},"
        ahead = int(tx.value(queue.AHEAD_AMONG, rank=waiter.rank, among=among, limit=AHEAD_LIMIT))
        return capacity.wait_for_room([providers[name] for name in route], ahead, tx.now)

    def _look(self, tx: Transaction, product: Product, usable: Collection[str]) -> Learnt:
        if tx.now - self._learnt.at >= REFRESH_S:
            self._learnt = _learn(tx, product, usable)
        return self._learnt


def _learn(tx: Transaction, product: Product, usable: Collection[str]) -> Learnt:
    sample = tx.all(queries.RECENT_SAMPLE, limit=SAMPLES)
    took = [row["finished_at"] - row["started_at"] for row in sample if row["finished_at"] is not None]
    duration_s = max(SHORTEST_S, sum(took) / len(took) if took else UNKNOWN_DURATION_S)
    slots = roster.alive(tx).slots or product.workers.slots  # nobody at work: as if this process were
    seen = (Seen(row["predicted_wait_s"], row["started_at"] - row["created_at"], row["started_at"]) for row in sample)
    return Learnt(
        duration_s=duration_s,
        slots=slots,
        coming=_coming(tx),
        providers=capacity.outlooks(tx, product, usable, duration_s),
        record=Record(seen, duration_s / slots),
        queued=int(tx.value(queue.QUEUED_UP_TO, limit=SHORT_QUEUE + 1)),
        at=tx.now,
    )


def _coming(tx: Transaction) -> dict[str, float]:
    """Return how many jobs of each plan come a second."""
    recent = [row for row in tx.all(queries.RECENT_ARRIVALS, limit=ARRIVALS) if row["created_at"] > tx.now - ARRIVALS_S]
    all_seen = len(recent) < ARRIVALS
    span_s = ARRIVALS_S if all_seen else max(BURST_S, tx.now - min(row["created_at"] for row in recent))
    plans = [row["plan"] for row in recent]
    return {plan: plans.count(plan) / span_s for plan in set(plans)}
