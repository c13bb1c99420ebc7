"""The engines in small: each does its jobs and hands in numbers, and wrong books are noticed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks import claims, ledger, lifecycle, start
from benchmarks.engines import contest, holds, noop, noop_jobs, on_postgres, on_redis, ours, report
from benchmarks.engines.postgres_server import postgres_server

from penstock.jobs.submit import submit
from penstock.jobs.worker import Worker
from penstock.kit.database import Transaction
from penstock.kit.postgres import PostgresDatabase
from tests.support.postgres import Server, binaries


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    """A server for several tests; they are skipped where there is none."""
    binaries()
    with postgres_server() as started:
        yield started


async def test_our_engine_runs_whole_lifecycles_and_checks_its_books(tmp_path: Path) -> None:
    measured = await ours.lifecycle(ours.Place(tmp_path), jobs=30)
    assert measured["rate"] > 0
    assert measured["cpu_us"] > 0


async def test_our_engine_runs_on_postgresql(tmp_path: Path, postgres: Server) -> None:
    measured = await ours.lifecycle(ours.Place(tmp_path, server=postgres), jobs=30)
    assert measured["rate"] > 0
    assert measured["cpu_us"] > 0


async def test_our_engine_settles_what_was_submitted_beforehand(tmp_path: Path) -> None:
    assert (await ours.settle(ours.Place(tmp_path), jobs=30))["rate"] > 0


async def test_our_engine_starts_idle_jobs(tmp_path: Path) -> None:
    measured = await ours.idle(ours.Place(tmp_path), jobs=5)
    assert 0 < measured["p50"] <= measured["p95"]


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("UPDATE wallets SET available = available + 1", "wallet differs"),
        ("UPDATE jobs SET state = 'failed'", "of 3 jobs there are {'failed': 3}"),
        ("DELETE FROM jobs WHERE id = (SELECT MIN(id) FROM jobs)", "of 3 jobs there are {'succeeded': 2}"),
        ("DELETE FROM transfers WHERE credit = 'spent'", "credits were spent instead of"),
    ],
)
async def test_wrong_books_are_noticed(tmp_path: Path, damage: str, complaint: str) -> None:
    counter = ours._Counter(3)
    provider = noop.IdleProvider()
    async with noop.open_flow(tmp_path, provider, durability="normal", delivered=counter.one) as flow:
        await flow.database.write(noop.fund, ours.ACCOUNTS, 10)
        worker = Worker(flow, 2)
        await worker.start()
        for number in range(3):
            await submit(flow, noop.order(flow, ours.ACCOUNTS[number], f"key-{number}"))
        await counter.done.wait()
        await worker.stop(grace_s=1.0)
        await flow.database.read(ours.check_books, 3)

        def spoil(tx: Transaction) -> None:
            tx.run("PRAGMA defer_foreign_keys = ON")
            tx.run("DELETE FROM idempotency")
            tx.run(damage)

        await flow.database.write(spoil)
        with pytest.raises(ours.WrongBooksError, match=complaint):
            await flow.database.read(ours.check_books, 3)


def test_huey_hands_in_its_measurements() -> None:
    measured = contest.run_once("huey", ["benchmarks.engines.huey_peer", "lifecycle", "--jobs", "5"])
    assert measured["drain_rate"] > measured["rate"] > 0


needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")


@needs_redis
@pytest.mark.parametrize("worker", ["simple", "fork"])
def test_rq_hands_in_its_measurements(worker: str) -> None:
    engine = ["benchmarks.engines.rq_peer", "--worker", worker, "--jobs", "3"]
    measured = contest.run_once("rq", [*engine, "lifecycle"])
    assert measured["drain_rate"] > measured["rate"] > 0


@needs_redis
def test_rq_starts_idle_jobs() -> None:
    assert contest.run_once("rq", ["benchmarks.engines.rq_peer", "idle", "--jobs", "3"])["p50"] > 0


@needs_redis
@pytest.mark.parametrize("name", [name for name in on_redis.PEERS if name != "taskiq"])
def test_peers_on_redis_hand_in_their_measurements(name: str) -> None:
    _hands_in(name, "on_redis")


@pytest.mark.parametrize("name", on_postgres.PEERS)
def test_peers_on_postgresql_hand_in_their_measurements(name: str) -> None:
    binaries()
    _hands_in(name, "on_postgres")


def _hands_in(name: str, server: str) -> None:
    measured = contest.run_once(name, [f"benchmarks.engines.{server}", name, "lifecycle", "--jobs", "5"])
    assert measured["drain_rate"] > measured["rate"] > 0
    assert measured["cpu_us"] >= 0


@needs_redis
def test_a_peer_starts_idle_jobs() -> None:
    measured = contest.run_once("taskiq", ["benchmarks.engines.on_redis", "taskiq", "idle", "--jobs", "3"])
    assert 0 < measured["p50"] <= measured["p95"]


async def test_jobs_that_do_not_run_are_noticed(tmp_path: Path) -> None:
    tally = noop_jobs.Tally(str(tmp_path / "marks"))
    noop_jobs.mark("words", tally.address)
    await tally.reach(1, 1.0)
    with pytest.raises(TimeoutError, match="1 of 2 jobs had run"):
        await tally.reach(2, 0.01)


def test_an_engine_that_fails_is_told_with_what_it_wrote() -> None:
    with pytest.raises(contest.EngineFailedError, match=r"ours ended with status 2(.|\n)*--jobs"):
        contest.run_once("ours", ["benchmarks.engines.ours", "lifecycle"])


def test_engines_race_in_turns_and_the_median_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([1.0, 10.0, 5.0, 30.0, 3.0, 20.0])
    turns = []

    def once(name: str, command: object) -> contest.Measured:
        turns.append(name)
        return {"rate": next(values)}

    monkeypatch.setattr(contest, "run_once", once)
    assert contest.race({"a": ["x"], "b": ["y"]}, rounds=3) == {"a": {"rate": 3.0}, "b": {"rate": 20.0}}
    assert turns == ["a", "b", "a", "b", "a", "b"]


def test_a_ratio_is_our_value_divided_by_the_peers() -> None:
    peer = {"rate": 100.0, "drain_rate": 200.0, "cpu_us": 400.0}
    ours_ = {"rate": 600.0, "cpu_us": 100.0}
    measured = dict.fromkeys(lifecycle.contenders(), peer)
    measured |= {"full": ours_, "normal": {**ours_, "rate": 900.0}, "postgres": {**ours_, "rate": 300.0}}
    measured |= {"settle": {**ours_, "rate": 500.0}, "dbos": {**peer, "drain_rate": 1000.0}}
    found = {figure.name: figure for figure in lifecycle.compare(measured)}
    assert list(found) == [
        "lifecycle.sqlite",
        "lifecycle.sqlite.cpu",
        "lifecycle.sqlite_normal",
        "lifecycle.sqlite_normal.cpu",
        "lifecycle.postgres",
        "lifecycle.postgres.cpu",
        "lifecycle.postgres.settle",
    ]
    assert found["lifecycle.sqlite"].value == 600.0
    assert found["lifecycle.sqlite"].ratios["rq.simple"] == 6.0
    assert found["lifecycle.sqlite"].ratios["rq.simple.drain"] == 3.0
    assert found["lifecycle.sqlite.cpu"].ratios["rq.simple"] == 0.25
    assert found["lifecycle.sqlite_normal"].ratios["huey.sqlite"] == 9.0
    assert found["lifecycle.postgres"].ratios["rq.fork"] == 3.0
    assert found["lifecycle.postgres"].ratios["celery.prefork.drain"] == 1.5
    assert found["lifecycle.postgres.cpu"].ratios["procrastinate"] == 0.25
    assert found["lifecycle.postgres.settle"].ratios["taskiq"] == 2.5
    assert found["lifecycle.postgres.settle"].ratios["dbos"] == 0.5


def test_waits_are_compared_at_median_and_95th_percentile() -> None:
    measured = {name: {"p50": 4.0, "p95": 4.0} for name in start.contenders()}
    measured |= {"idle": {"p50": 1.0, "p95": 2.0}, "postgres": {"p50": 8.0, "p95": 2.0}}
    found = {figure.name: figure for figure in start.compare(measured)}
    assert list(found) == ["start.idle.p50", "start.idle.p95", "start.postgres.p50", "start.postgres.p95"]
    assert found["start.idle.p50"].ratios == {"rq.simple": 0.25, "huey.sqlite": 0.25}
    assert found["start.idle.p95"].value == 2.0
    assert found["start.postgres.p50"].ratios["dbos"] == 2.0
    assert found["start.postgres.p95"].ratios["streaq"] == 0.5
    assert report.points([float(n) for n in range(1, 101)]) == {"p50": 50.5, "p95": pytest.approx(95.95)}


async def test_claims_are_timed_for_every_queue() -> None:
    took = await claims.measure((10, 50), rounds=1, claims=15)
    assert set(took) == {(10, False), (10, True), (50, False), (50, True)}
    names = {figure.name: figure for figure in claims.compare("claim.cost", took)}
    assert set(names) == {f"claim.cost.{size}{kind}" for size in (10, 50) for kind in ("", ".one_customer")}
    assert names["claim.cost.10"].ratios == {}
    assert names["claim.cost.50"].ratios == {"claim.cost.10": took[50, False] / took[10, False]}


async def test_claims_are_timed_on_postgresql(postgres: Server) -> None:
    took = await claims.measure((10, 50), 1, 5, postgres)
    names = [figure.name for figure in claims.compare("claim.postgres", took)]
    assert names == [f"claim.postgres.{size}{kind}" for kind in ("", ".one_customer") for size in (10, 50)]
    assert all(cost > 0 for cost in took.values())


@pytest.mark.parametrize("how", ["ours", "procedure"])
@pytest.mark.parametrize("wallets", [10, 1])
async def test_credits_are_held_and_captured_in_both_ways(how: str, wallets: int, postgres: Server) -> None:
    measured = await holds.measure(how, postgres.make_database(), wallets, 20, report.cpu_s)
    assert measured["rate"] > 0
    assert measured["cpu_us"] > 0


async def test_credits_that_were_not_spent_are_noticed(postgres: Server) -> None:
    database = await PostgresDatabase.open(postgres.make_database())
    await database.write(noop.fund, ["acc_0"], 10)
    with pytest.raises(ours.WrongBooksError, match="None credits were spent instead of 2"):
        await database.read(holds.check_books, 1)
    await database.close()


def test_the_ledger_is_compared_with_the_procedure() -> None:
    measured = {name: {"rate": 100.0, "cpu_us": 50.0} for name in ledger.contenders()}
    measured |= {"ours.hot": {"rate": 25.0, "cpu_us": 100.0}}
    found = {figure.name: figure for figure in ledger.compare(measured)}
    assert list(found) == [f"ledger.postgres.{kind}" for kind in ("wallets", "wallets.cpu", "hot", "hot.cpu")]
    assert found["ledger.postgres.wallets"].ratios == {"procedure": 1.0}
    assert found["ledger.postgres.hot"].value == 25.0
    assert found["ledger.postgres.hot"].ratios == {"procedure": 0.25}
    assert found["ledger.postgres.hot.cpu"].ratios == {"procedure": 2.0}


def test_a_backlog_lets_nobody_above_the_limit() -> None:
    rows = list(claims.backlog(100, large=True))
    ready = [row["account_id"] for row in rows if row["state"] == "ready"]
    assert sum(row["account_id"] == "acc_0" for row in rows) == 90
    assert max(ready.count(account) for account in ready) == noop.RUNNING_LIMIT
    assert len(ready) == 10 + noop.RUNNING_LIMIT
