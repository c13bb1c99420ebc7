"""Bugs that the crash tests must catch: each breaks the engine in one place, in the process that calls it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from penstock.jobs import attempts, failure, queries, queue, run, settle, submit
from penstock.jobs.flow import Claimed
from penstock.jobs.progress import ProgressWriter
from penstock.kit.checkpoints import checkpoint
from penstock.kit.database import Transaction
from penstock.ledger import book
from penstock.ledger import queries as ledger_queries
from penstock.ledger import service as ledger
from penstock.ledger.service import Wallet
from penstock.providers.seam import Finished, Provider, ProviderError, Request
from tests.faults.scenario import ROUGH_EVERY


@dataclass(frozen=True)
class Planted:
    """A bug, the points at which a kill (or None: no kill at all) brings it to light, and what the checker says.

    `stride` is from one seed to the next: some bugs show only in the rough scenarios.
    """

    plant: Callable[[], None]
    labels: tuple[str | None, ...]
    says: str
    stride: int = 1


def _commit_here(tx: Transaction) -> None:
    """End the transaction in the middle and begin another, as two calls of `write` would."""
    for statement in ("RELEASE unit", "COMMIT", "BEGIN IMMEDIATE", "SAVEPOINT unit"):
        tx.run(statement)


def _replace(owner: object, name: str, broken: object) -> None:
    setattr(owner, name, broken)


def hold_and_insert_apart() -> None:
    hold = submit._hold

    def hold_alone(tx: Transaction, *rest: Any) -> None:
        hold(tx, *rest)
        _commit_here(tx)

    _replace(submit, "_hold", hold_alone)


def key_apart() -> None:
    remember = submit._remember_key

    def remember_later(tx: Transaction, *rest: Any) -> None:
        _commit_here(tx)
        checkpoint("submit.keyed")
        remember(tx, *rest)

    _replace(submit, "_remember_key", remember_later)


def settle_and_capture_apart() -> None:
    capture = ledger.capture

    def capture_later(tx: Transaction, *rest: Any) -> None:
        _commit_here(tx)
        checkpoint("settle.captured")
        capture(tx, *rest)

    _replace(ledger, "capture", capture_later)


def settle_without_the_fence() -> None:
    queue.FINISH = queue.FINISH.replace("AND fence = :fence", "")


def release_twice() -> None:
    """Release without looking whether the hold is still open, with keys that never collide, and do it twice."""
    release, nonce = ledger.release, count()
    ledger_queries.RESOLVE_HOLD = ledger_queries.RESOLVE_HOLD.replace("AND state = 'open'", "")
    held = ledger_queries.HOLD_WITH_LOTS
    ledger_queries.HOLD_WITH_LOTS = held.replace("o.state", "'open' AS state")
    write = book.BookEntry.write

    def write_again(entry: book.BookEntry, *rest: Any) -> None:
        write(replace(entry, key=f"{entry.key}#{next(nonce)}"), *rest)

    def twice(tx: Transaction, wallet: Wallet, job_id: str, reason: str) -> None:
        release(tx, wallet, job_id, reason)
        release(tx, wallet, job_id, reason)

    _replace(book.BookEntry, "write", write_again)
    _replace(ledger, "release", twice)


def noted_after_the_send() -> None:
    ask = run.Runner._ask

    async def ask_first(
        runner: run.Runner, job: Claimed, provider: Provider, request: Request, progress: ProgressWriter
    ) -> Finished:
        answer = await ask(runner, job, provider, request, progress)
        if provider.billed:
            await runner._flow.database.write(attempts.open_attempt, job, provider.name)
        return answer

    _replace(run, "open_attempt", lambda tx, job, provider, **_: None)
    _replace(run.Runner, "_ask", ask_first)


def noted_without_the_fence() -> None:
    queue.STILL_HELD = queue.STILL_HELD.replace("AND fence = :fence AND state = 'running'", "")


def paid_work_forgotten() -> None:
    """Look only for attempts that were never closed: work that ended just before the crash is bought again."""
    queries.BEGUN_BEFORE = queries.BEGUN_BEFORE.replace(
        "(state <> 'failed' OR failure = 'unknown')", "state IN ('sending', 'submitted')"
    )


def tries_not_counted() -> None:
    def forget(job: Claimed, error: ProviderError, **rest: Any) -> failure.TryAgain | failure.GiveUp:
        return failure.after_failure(replace(job, attempts=1), error, **rest)

    _replace(run, "after_failure", forget)


def limit_ignored() -> None:
    promote = queue.promote
    _replace(queue, "promote", lambda tx, account_id, limit: promote(tx, account_id, limit + 1))


def settled_without_telling() -> None:
    """End a job, and let the next one in and tell of it in another transaction."""
    let_in = settle._let_in

    def later(tx: Transaction, *rest: Any) -> None:
        _commit_here(tx)
        checkpoint("settle.released")
        let_in(tx, *rest)

    _replace(settle, "_let_in", later)


PLANTED = [
    Planted(hold_and_insert_apart, ("submit.held", "submit.inserted"), "without a job under way"),
    Planted(key_apart, ("submit.keyed",), "without its idempotency key"),
    Planted(settle_and_capture_apart, ("settle.captured",), "still held"),
    Planted(settled_without_telling, ("settle.released",), "told 0 times"),
    Planted(settle_without_the_fence, (None,), "a worker that had lost it", stride=ROUGH_EVERY),
    Planted(release_twice, (None,), "wallet differs"),
    Planted(noted_after_the_send, ("provider.answered",), "charged 2 times"),
    Planted(noted_without_the_fence, (None,), "charged 2 times", stride=ROUGH_EVERY),
    Planted(paid_work_forgotten, ("run.stored", "store.put", "settle.delivered"), "charged 2 times"),
    Planted(tries_not_counted, (None,), "tries allowed"),
    Planted(limit_ignored, (None,), "at one time"),
]
