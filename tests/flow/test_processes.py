"""Processes that share a database: what one does the others hear at once, and each job is worked on once.

Each `running` is a process's worth of services with a data folder of its own. The polls beneath the hints are switched
off where a test is about hints: without them it would wait for ever.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from penstock.admission.rates import Rate
from penstock.app import callers
from penstock.jobs import live as jobs_live
from penstock.jobs import queue, worker
from penstock.kit import redis_server, shared_hints
from penstock.kit.errors import Problem
from penstock.ledger import service as ledger
from penstock.notify import live
from penstock.product.settings import Settings
from tests.flow.test_events import events_of
from tests.flow.test_live import greeted
from tests.support import redis, servers
from tests.support.flows import PATIENCE_S, FakeProvider, make_product
from tests.support.servers import API, SECRET, Customer, Running, listening, running

pytestmark = pytest.mark.embedded  # it says by itself what it runs on


@pytest.fixture(params=["postgresql", "redis"])
def shared(request: pytest.FixtureRequest, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What all processes of a test share: a PostgreSQL database, and hints by it or by Redis."""
    urls = {"database_url": postgres_url}
    if request.param == "redis":
        urls["redis_url"] = request.getfixturevalue("redis_url")
    monkeypatch.setattr(servers, "SHARED", urls)
    return urls


@pytest.fixture
def no_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody look by itself."""
    for module in (live, jobs_live, worker):
        monkeypatch.setattr(module, "POLL_S", None)
    monkeypatch.setattr(queue, "HEARTBEAT_S", 3_600.0)


@asynccontextmanager
async def both(folder: Path, provider: FakeProvider | None = None) -> AsyncIterator[tuple[Running, Running]]:
    """Yield a process that only serves, listening, and one that works."""
    async with AsyncExitStack() as stack:
        serving = await stack.enter_async_context(running(folder / "serves", works=False))
        at_work = await stack.enter_async_context(running(folder / "works", provider or FakeProvider("main")))
        yield await stack.enter_async_context(listening(serving)), at_work


def shut(provider: FakeProvider) -> asyncio.Event:
    provider.gate = asyncio.Event()
    return provider.gate


def at(run: Running, customer: Customer) -> Customer:
    """Return the same customer as a client of another process."""
    return Customer(customer.id, customer.email, customer.token, run)


@pytest.mark.usefixtures("shared", "no_polls")
async def test_work_is_found_and_its_events_arrive_across_processes(tmp_path: Path) -> None:
    async with both(tmp_path) as (server, _):
        ann = await server.customer()
        job = await ann.submit()
        events = await events_of(ann, job["id"])
        done = await ann.job(job["id"])

    assert [event["type"] for event in events] == ["job.queued", "job.started", "job.succeeded"]
    assert done["status"] == "succeeded"


@pytest.mark.usefixtures("shared", "no_polls")
async def test_a_live_connection_hears_another_process(tmp_path: Path) -> None:
    async with both(tmp_path) as (server, _):
        ann = await server.customer()
        async with greeted(server, ann) as line:
            await line.say(type="subscribe")
            job = await ann.submit()
            events = await line.events()

    assert [(event["job"], event["type"]) for event in events] == [
        (job["id"], kind) for kind in ("job.queued", "job.started", "job.succeeded")
    ]


@pytest.mark.usefixtures("shared", "no_polls")
async def test_a_job_that_runs_elsewhere_is_stopped_at_once(tmp_path: Path) -> None:
    provider = FakeProvider("main")
    shut(provider)
    async with both(tmp_path, provider) as (server, _):
        ann = await server.customer()
        before = await ann.credits()
        job = await ann.submit()
        await asyncio.wait_for(provider.entered.wait(), PATIENCE_S)
        answer = await ann.post(f"/jobs/{job['id']}/cancel")
        ended = await ann.ended(job["id"])
        after = await ann.credits()

    assert answer.json()["status"] == "cancelling"
    assert ended["status"] == "cancelled"
    assert after == before


@pytest.mark.usefixtures("shared", "no_polls")
async def test_a_customers_next_job_starts_in_another_process(tmp_path: Path) -> None:
    """Two may run at one time; the settle of one promotes the third, and tells whoever has room."""
    one, two = FakeProvider("main"), FakeProvider("main")
    gate = shut(one)
    shut(two)
    product = make_product(workers={"slots": 1})
    async with (
        running(tmp_path / "one", one, product=product) as first,
        running(tmp_path / "two", two, product=product),
    ):
        ann = await first.customer(gift=20, plan="paid")
        jobs = [await ann.submit() for _ in range(3)]
        await asyncio.wait_for(asyncio.gather(one.entered.wait(), two.entered.wait()), PATIENCE_S)
        third = await ann.job(jobs[2]["id"])
        gate.set()
        two.gate.set()  # type: ignore[union-attr]  # shut above
        ends = [(await ann.ended(job["id"]))["status"] for job in jobs]

    assert third["status"] == "queued"
    assert ends == ["succeeded"] * 3


@pytest.mark.usefixtures("shared")
async def test_a_stream_resumes_in_another_process_without_loss_or_repeat(tmp_path: Path) -> None:
    provider = FakeProvider("main")
    gate = shut(provider)
    async with both(tmp_path, provider) as (server, at_work), listening(at_work) as other:
        ann = await server.customer()
        job = await ann.submit()
        before = await events_of(ann, job["id"], stop_after=2)
        there = at(other, ann)
        after = asyncio.create_task(events_of(there, job["id"], headers={"Last-Event-ID": str(before[-1]["id"])}))
        await asyncio.wait_for(provider.entered.wait(), PATIENCE_S)
        gate.set()
        rest = await after
        whole = await events_of(ann, job["id"])

    assert [event["type"] for event in before] == ["job.queued", "job.started"]
    assert before + rest == whole


@pytest.mark.usefixtures("shared")
async def test_many_workers_run_each_job_once(tmp_path: Path) -> None:
    providers = [FakeProvider("main") for _ in range(3)]
    async with AsyncExitStack() as stack:
        runs = [
            await stack.enter_async_context(running(tmp_path / f"{number}", provider))
            for number, provider in enumerate(providers)
        ]
        customers = [await runs[0].customer(gift=100, plan="open") for _ in range(4)]
        jobs = [await at(runs[number % 3], ann).submit() for ann in customers for number in range(15)]
        for number, job in enumerate(jobs):
            ended = await customers[number // 15].ended(job["id"])
            assert (ended["status"], ended["attempts"]) == ("succeeded", 1)
        violations = await runs[0].services.database.read(ledger.violations)

    sent = [job for provider in providers for job in provider.sent]
    assert sorted(sent) == sorted(job["id"] for job in jobs), "each was sent once, by whichever process"
    assert violations == []


async def test_a_limit_is_one_over_all_processes(
    tmp_path: Path, postgres_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_server, "ASK_S", PATIENCE_S)
    monkeypatch.setattr(callers, "REQUESTS", Rate.per("requests", burst=10, window_s=3_600))
    monkeypatch.setattr(servers, "SHARED", {"database_url": postgres_url, "redis_url": redis_url})
    async with running(tmp_path / "1", works=False) as one, running(tmp_path / "2", works=False) as two:
        ann = await one.customer()
        answers = [await at(run, ann).get("/credits") for _ in range(8) for run in (one, two)]

    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 6
    assert answers[9].headers["RateLimit"].startswith('"requests";r=0')


# ---- Redis that is away -------------------------------------------------------------------------------------------


@pytest.fixture
def own_redis(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Server]:
    """A Redis server that the test may kill, shared by all processes of the test."""
    monkeypatch.setattr(shared_hints, "RETRY_MOST_S", 0.05)
    monkeypatch.setattr(redis_server, "REST_S", 0.0)
    with redis.server() as started:
        monkeypatch.setattr(servers, "SHARED", {"database_url": postgres_url, "redis_url": started.url})
        yield started


async def health(run: Running) -> tuple[int, dict[str, Any]]:
    run.app.state.health._kept = None  # look anew
    answer = await run.client.get(f"{API}/health")
    return answer.status_code, answer.json()


async def until_redis_is(state: str, run: Running) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while run.services.shared.checks() != {"redis": state}:
            await asyncio.sleep(0)


async def test_redis_that_goes_away_costs_nothing_but_speed(tmp_path: Path, own_redis: redis.Server) -> None:
    async with both(tmp_path) as (server, _):
        ann = await server.customer(gift=10)
        assert (await health(server))[1]["checks"]["redis"] == "ok"
        own_redis.kill()
        await until_redis_is("away", server)
        status, body = await health(server)
        without = await ann.submit()
        events = await events_of(ann, without["id"])
        own_redis.start()
        await until_redis_is("ok", server)
        again = await ann.ended((await ann.submit())["id"])

    assert (status, body["status"], body["checks"]["redis"]) == (200, "degraded", "away"), "still ready"
    assert events[-1]["type"] == "job.succeeded", "found by the polls"
    assert again["status"] == "succeeded"


async def test_a_redis_that_is_not_there_at_the_start_is_said(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, secret=SECRET, redis_url="redis://127.0.0.1:1/0")
    with pytest.raises(Problem, match="can't be reached") as caught:
        async with running(tmp_path, settings=settings):
            pass
    assert caught.value.code == "unavailable"
